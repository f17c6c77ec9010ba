"""Learning rates by hand, and which weights decay."""

from __future__ import annotations

import math

import pytest

from tronie.errors import BadInput

torch = pytest.importorskip("torch")

from tronie.lab.training.schedule import (  # noqa: E402 - only where torch is
    Optimizer,
    Schedule,
    learning_rate,
    make_optimizer,
    weight_decay_groups,
)

pytestmark = pytest.mark.lab


def rates(schedule, *, steps=10, per_epoch=5.0):
    return [
        learning_rate(schedule, s, steps=steps, steps_per_epoch=per_epoch) for s in range(steps)
    ]


def test_a_straight_line_falls_to_zero_one_step_after_the_last():
    assert rates(Schedule(peak_lr=1.0)) == pytest.approx([1 - s / 10 for s in range(10)])


def test_the_warm_up_rises_by_equal_steps_and_the_rest_is_what_remains():
    found = rates(Schedule(peak_lr=1.0, warmup_epochs=0.8))
    assert found[:4] == pytest.approx([0.25, 0.5, 0.75, 1.0])
    assert found[4:] == pytest.approx([1 - n / 6 for n in range(6)])


def test_power_two_is_the_square_of_the_line():
    line = rates(Schedule(peak_lr=1.0))
    assert rates(Schedule(peak_lr=1.0, power=2.0)) == pytest.approx([r * r for r in line])


def test_the_cosine_is_half_way_down_in_the_middle():
    found = rates(Schedule(peak_lr=0.2, shape="cosine"))
    assert found[0] == pytest.approx(0.2)
    assert found[5] == pytest.approx(0.1)
    assert found[2] == pytest.approx(0.1 * (1 + math.cos(math.pi * 0.2)))


def test_drops_happen_at_their_epochs():
    found = rates(Schedule(peak_lr=1.0, shape="drops", drops=(0.6, 1.4), drop_factor=0.1))
    assert found == pytest.approx([1.0] * 3 + [0.1] * 4 + [0.01] * 3)


def test_a_constant_rate_stays():
    assert rates(Schedule(peak_lr=0.3, shape="constant")) == [0.3] * 10


def test_beyond_the_end_nothing_is_negative():
    for shape in ("polynomial", "cosine"):
        schedule = Schedule(peak_lr=1.0, shape=shape)
        assert learning_rate(schedule, 12, steps=10, steps_per_epoch=5) == pytest.approx(0.0)


def test_only_matrices_decay_where_that_is_asked():
    net = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.BatchNorm1d(2))
    decayed, kept = weight_decay_groups(net.parameters(), weight_decay=0.1, only_matrices=True)
    assert [p.ndim for p in decayed["params"]] == [2]
    assert [p.ndim for p in kept["params"]] == [1, 1, 1]
    assert (decayed["weight_decay"], kept["weight_decay"]) == (0.1, 0.0)
    everything = weight_decay_groups(net.parameters(), weight_decay=0.1, only_matrices=False)
    assert [len(group["params"]) for group in everything] == [4]


def test_frozen_weights_are_not_in_the_optimizer():
    net = torch.nn.Linear(3, 2)
    net.bias.requires_grad_(False)
    held = make_optimizer(Optimizer(), [net]).param_groups
    assert [id(p) for group in held for p in group["params"]] == [id(net.weight)]


def test_nothing_to_train_is_refused():
    net = torch.nn.Linear(3, 2).requires_grad_(False)
    with pytest.raises(BadInput, match="nothing to train"):
        make_optimizer(Optimizer(), [net])


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"peak_lr": math.nan}, "peak_lr must be 0 or more and finite, at most 1e.30; got n"),
        ({"peak_lr": 0.1, "power": 0.0}, "power > 0"),
        ({"peak_lr": 0.1, "shape": "drops"}, "needs the epochs of the drops"),
        ({"peak_lr": 1e300}, "at most 1e.30; got 1e.300"),
        ({"peak_lr": 0.1, "warmup_epochs": 1e300}, "warmup_epochs must be at most 1e.06; got 1e"),
        ({"peak_lr": 0.1, "drops": (8.0, -1.0)}, "drops must be epochs above 0 .*; got 8, -1"),
        ({"peak_lr": 0.1, "drops": (0.0,)}, "drops must be epochs above 0 .*; got 0"),
        ({"peak_lr": 0.1, "drop_factor": 1e300}, r"drop_factor in \(0, 1\]; got .* 1e.300"),
    ],
)
def test_a_schedule_that_cannot_be_is_refused(wrong, told):
    with pytest.raises(BadInput, match=told):
        Schedule(**wrong)


def test_an_optimizer_that_cannot_be_is_refused():
    with pytest.raises(BadInput, match=r"momentum in \[0, 1\)"):
        Optimizer(momentum=1.0)


@pytest.mark.parametrize("wrong", ["weight_decay", "head_weight_decay", "head_lr_ratio"])
def test_factors_beyond_float32_are_refused(wrong):
    with pytest.raises(BadInput, match=r"weight decays and a head_lr_ratio of at most 1e.06"):
        Optimizer(**{wrong: 1e300})
    with pytest.raises(BadInput, match=r"a clip_norm of at most 1e.30; got"):
        Optimizer(clip_norm=1e300)
