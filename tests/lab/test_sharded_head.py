"""What every head does with its centers, of a head that has nothing else."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from tronie.lab.nn.class_centers import ClassCenters  # noqa: E402
from tronie.lab.nn.margins.normface import Margin  # noqa: E402
from tronie.lab.nn.sharded_head import ShardedHead  # noqa: E402

pytestmark = pytest.mark.lab


def head(seed: int) -> ShardedHead:
    centers = ClassCenters(classes=5, width=3, seed=seed, group=None)
    return ShardedHead(centers, Margin(), dimension=3, group=None)


def test_a_step_is_sgd_and_nothing_is_left_for_the_next_one():
    made = head(0)
    taken = made.centers.take()
    before = taken.detach().clone()
    taken.sum().backward()
    assert len(made.gradients()) == 1
    made.step(lr=0.5, momentum=0.0, weight_decay=0.0)
    torch.testing.assert_close(made.centers.take().detach(), before - 0.5)


def test_what_was_discarded_moves_nothing():
    made = head(0)
    taken = made.centers.take()
    before = taken.detach().clone()
    taken.sum().backward()
    made.discard()
    assert made.gradients() == []
    torch.testing.assert_close(made.centers.take().detach(), before)


def test_centers_that_stand_still_have_been_through_a_step():
    made = head(0)
    before = made.centers.take().detach().clone()
    made.centers.take().sum().backward()
    made.stand_still()
    assert (made.gradients(), made.centers.steps) == ([], 1)
    assert torch.equal(made.centers.take().detach(), before)


def test_another_head_takes_over_what_was_written():
    one, other = head(0), head(1)
    other.load_shard_state([one.shard_state()])
    torch.testing.assert_close(other.centers.take(), one.centers.take())
