"""Every epoch holds each sample once, from wherever and in whatever pieces it is computed."""

from __future__ import annotations

import numpy as np
import pytest

from tronie.errors import NotEnoughData

pytest.importorskip("torch")

from tronie.lab.training.order import GroupedOrder, Order, share

pytestmark = pytest.mark.lab


@pytest.mark.parametrize("samples", [1, 2, 3, 4, 5, 16, 17, 63, 64, 65, 1000])
def test_every_epoch_holds_each_sample_once(samples):
    order = Order(samples, seed=7)
    for epoch in range(3):
        found = order.at(np.arange(epoch * samples, (epoch + 1) * samples))
        assert sorted(found.samples.tolist()) == list(range(samples))
        assert set(found.epochs.tolist()) == {epoch}


def test_a_position_does_not_depend_on_what_is_asked_beside_it():
    order = Order(37, seed=1)
    together = order.at(np.arange(100)).samples
    alone = [int(order.at(np.array([n])).samples[0]) for n in range(100)]
    assert together.tolist() == alone


def test_epochs_and_seeds_differ():
    first = Order(100, seed=0).at(np.arange(300)).samples.reshape(3, 100)
    other = Order(100, seed=1).at(np.arange(100)).samples
    assert not any((first[n] == first[m]).all() for n in range(3) for m in range(n))
    assert not (first[0] == other).all()


def test_the_shuffle_is_no_rotation_and_favors_no_place():
    """Each of 50 samples comes first about as often as any other, over 5000 epochs."""
    order = Order(50, seed=3)
    first = order.at(np.arange(5000) * 50).samples
    counts = np.bincount(first, minlength=50)
    chi_square = ((counts - 100) ** 2 / 100).sum()
    assert chi_square < 90  # 49 degrees of freedom: exceeded once in 3000 times by chance
    steps = np.diff(order.at(np.arange(50)).samples)
    assert len(np.unique(steps % 50)) > 20


def test_forty_million_samples_need_no_list_of_them():
    found = Order(42_000_000, seed=0).at(np.arange(41_999_990, 42_000_010))
    assert found.epochs.tolist() == [0] * 10 + [1] * 10
    assert len(set(found.samples.tolist())) == 20
    assert found.samples.max() < 42_000_000


LABELS = np.random.default_rng(0).integers(0, 9, 60)


@pytest.mark.parametrize("together", [2, 4, 99])
def test_groups_of_one_identity_stand_together_and_every_sample_comes_once(together):
    order = GroupedOrder(LABELS, together=together, seed=3)
    for epoch in range(3):
        found = order.at(np.arange(epoch * 60, (epoch + 1) * 60))
        assert sorted(found.samples.tolist()) == list(range(60))
        assert set(found.epochs.tolist()) == {epoch}
        changes = np.count_nonzero(np.diff(LABELS[found.samples])) + 1
        counts = np.bincount(LABELS)
        assert changes <= np.sum(-(-counts // together))  # that many groups; two may meet


def test_groups_do_not_depend_on_what_is_asked_beside_them_and_differ_by_epoch_and_seed():
    order = GroupedOrder(LABELS, together=4, seed=3)
    together = order.at(np.arange(180)).samples
    backwards = [int(order.at(np.array([n])).samples[0]) for n in reversed(range(180))]
    assert together.tolist() == backwards[::-1]
    other = GroupedOrder(LABELS, together=4, seed=4).at(np.arange(60)).samples
    epochs = together.reshape(3, 60)
    assert not any((epochs[n] == epochs[m]).all() for n in range(3) for m in range(n))
    assert not (epochs[0] == other).all()
    first = np.bincount(
        [LABELS[order.at(np.array([60 * n])).samples[0]] for n in range(900)], minlength=9
    )
    groups = -(-np.bincount(LABELS) // 4)
    expected = 900 * groups / groups.sum()
    assert ((first - expected) ** 2 / expected).sum() < 27  # 8 degrees of freedom: 1 in 1000


@pytest.mark.parametrize(("total", "ranks"), [(8, 1), (8, 3), (7, 4), (2, 3)])
def test_shares_cover_everything_once_and_evenly(total, ranks):
    shares = [share(total, rank=rank, ranks=ranks) for rank in range(ranks)]
    covered = [n for first, end in shares for n in range(first, end)]
    assert covered == list(range(total))
    sizes = [end - first for first, end in shares]
    assert max(sizes) - min(sizes) <= 1


def test_no_samples_are_refused():
    with pytest.raises(NotEnoughData, match="at least one image; got none"):
        Order(0, seed=0)
    with pytest.raises(NotEnoughData, match="at least one image; got none"):
        GroupedOrder(np.zeros(0, np.int64), together=2, seed=0)
