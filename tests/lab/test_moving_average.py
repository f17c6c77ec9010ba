"""The moving average of a network: its formula, written as a loop."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402 - only where torch is

from tronie.lab.training.moving_average import MovingAverage  # noqa: E402

pytestmark = pytest.mark.lab


def network():
    torch.manual_seed(3)
    return nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3)).double()


@pytest.mark.parametrize("decay", [0.5, 0.9, 0.9998])
def test_weights_and_statistics_follow_the_formula(decay):
    made = network()
    average = MovingAverage(made, decay)
    names = ("0.weight", "0.bias", "1.weight", "1.running_mean", "1.running_var")
    wanted = {name: made.state_dict()[name].clone() for name in names}
    for step in range(40):
        made(torch.randn(5, 4, dtype=torch.float64))  # moves the statistics
        with torch.no_grad():
            for parameter in made.parameters():
                parameter.add_(torch.randn_like(parameter))
        average.update(made)
        d = min(decay, (1 + step) / (10 + step))
        for name in names:
            wanted[name] = d * wanted[name] + (1 - d) * made.state_dict()[name]
    found = average.network.state_dict()
    for name in names:
        torch.testing.assert_close(found[name], wanted[name], rtol=1e-12, atol=1e-12)
    assert average.steps == 40


def test_counts_are_taken_over_as_they_are():
    made = network()
    average = MovingAverage(made, 0.99)
    for _ in range(3):
        made(torch.randn(5, 4, dtype=torch.float64))
        average.update(made)
    assert int(average.network.state_dict()["1.num_batches_tracked"]) == 3


def test_the_first_steps_are_soon_forgotten():
    """After one step nine tenths are the new weights, whatever the decay."""
    made = network()
    average = MovingAverage(made, 0.9999)
    first = made[0].weight.detach().clone()
    with torch.no_grad():
        made[0].weight.add_(1.0)
    average.update(made)
    torch.testing.assert_close(average.network[0].weight, first + 0.9)


def test_it_is_a_network_in_evaluation_that_learns_nothing_and_leaves_the_other_alone():
    made = network().train()
    average = MovingAverage(made, 0.9)
    assert not average.network.training
    assert made.training
    assert not any(p.requires_grad for p in average.network.parameters())
    assert all(p.requires_grad for p in made.parameters())
    before = {name: t.clone() for name, t in made.state_dict().items()}
    average.update(made)
    assert all(torch.equal(before[name], t) for name, t in made.state_dict().items())
