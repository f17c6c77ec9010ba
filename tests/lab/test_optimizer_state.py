"""What an optimizer remembers goes to a checkpoint and back, and to no other optimizer."""

from __future__ import annotations

import pytest

from tronie.errors import BadFile

torch = pytest.importorskip("torch")

from tronie.lab.training.checkpoint import newest_checkpoint, save_checkpoint  # noqa: E402
from tronie.lab.training.optimizer_state import load_optimizer, optimizer_parts  # noqa: E402
from tronie.lab.training.schedule import Optimizer, make_optimizer  # noqa: E402

pytestmark = pytest.mark.lab


def network():
    torch.manual_seed(3)
    return torch.nn.Linear(4, 3)


def stepped(net, settings):
    optimizer = make_optimizer(settings, [net])
    for group in optimizer.param_groups:
        group["lr"] = 0.1
    net(torch.ones(2, 4)).square().sum().backward()
    optimizer.step()
    optimizer.zero_grad()
    return optimizer


def names_of(net):
    return {parameter: name for name, parameter in net.named_parameters()}


@pytest.mark.parametrize("name", ["sgd", "adamw"])
def test_the_next_step_is_the_one_that_would_have_been(name, tmp_path):
    settings = Optimizer(name=name)
    net = network()
    optimizer = stepped(net, settings)
    parts = optimizer_parts(optimizer, names_of(net))
    save_checkpoint(tmp_path, parts, step=1, note={})
    again = network()
    again.load_state_dict(net.state_dict())
    other = make_optimizer(settings, [again])
    load_optimizer(other, settings, names_of(again), newest_checkpoint(tmp_path))
    for one, made in ((net, optimizer), (again, other)):
        for group in made.param_groups:
            group["lr"] = 0.1
        one(torch.ones(2, 4)).square().sum().backward()
        made.step()
    assert torch.equal(net.weight, again.weight)
    assert not torch.equal(net.weight, network().weight)


def loaded(tmp_path, parts, *, into):
    save_checkpoint(tmp_path, parts, step=1, note={})
    net, settings = network(), Optimizer(name=into)
    load_optimizer(
        make_optimizer(settings, [net]), settings, names_of(net), newest_checkpoint(tmp_path)
    )


@pytest.mark.parametrize(
    ("name", "into", "told"),
    [
        ("sgd", "adamw", "remembers momentum_buffer of bias; adamw takes exp_avg, exp_avg_sq, st"),
        ("adamw", "sgd", "remembers exp_avg, exp_avg_sq, step of bias; sgd takes momentum_buffer"),
    ],
)
def test_memories_of_another_optimizer_are_refused(name, into, told, tmp_path):
    net = network()
    parts = optimizer_parts(stepped(net, Optimizer(name=name)), names_of(net))
    with pytest.raises(BadFile, match=told + ".* Go on with the optimizer that the run was begun"):
        loaded(tmp_path, dict(sorted(parts.items())), into=into)


def test_memories_of_no_parameter_are_refused(tmp_path):
    parts = {"optimizer/gone/momentum_buffer": torch.zeros(3, 4)}
    with pytest.raises(BadFile, match="holds optimizer/gone, and this network has no such"):
        loaded(tmp_path, parts, into="sgd")


def test_memories_of_another_shape_are_refused(tmp_path):
    parts = {"optimizer/weight/momentum_buffer": torch.zeros(4, 3)}
    told = r"weight/momentum_buffer has the shape \(4, 3\); \(3, 4\) is asked for"
    with pytest.raises(BadFile, match=told):
        loaded(tmp_path, parts, into="sgd")


def test_a_network_without_a_step_has_no_memories(tmp_path):
    loaded(tmp_path, {"other": torch.zeros(1)}, into="adamw")
