"""The hardest of each picture, beside sorting by hand."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from tronie.lab.nn.losses.hard_negatives import hardest  # noqa: E402 - only where torch is

pytestmark = pytest.mark.lab
torch.set_num_threads(1)


def test_each_picture_keeps_its_own_number_of_the_largest_losses():
    draw = torch.Generator().manual_seed(0)
    losses = torch.rand(4, 50, generator=draw)
    candidates = torch.rand(4, 50, generator=draw) < 0.6
    count = torch.tensor([0, 1, 7, 1000])
    got = hardest(losses, candidates, count)
    for b in range(4):
        rows = [a for a in range(50) if candidates[b, a]]
        rows.sort(key=lambda a, b=b: -losses[b, a])
        assert set(got[b].nonzero()[:, 0].tolist()) == set(rows[: count[b]])


def test_of_equal_losses_the_first_are_taken():
    got = hardest(
        torch.zeros(1, 6), torch.tensor([[False, True, True, False, True, True]]), torch.tensor([2])
    )
    assert got[0].tolist() == [False, True, True, False, False, False]


def test_without_candidates_nothing_is_taken():
    assert not hardest(
        torch.rand(2, 5), torch.zeros(2, 5, dtype=torch.bool), torch.tensor([3, 3])
    ).any()
