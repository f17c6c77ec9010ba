"""Gathering, sums and maxima: what one process gives, and what four ranks give."""

from __future__ import annotations

import pytest

import sharded_runs

torch = pytest.importorskip("torch")

from tronie.lab.nn.collectives import (  # noqa: E402 - only where torch is
    all_max,
    all_sum,
    gather_rows,
    rank,
    row_counts,
    world_size,
)

pytestmark = pytest.mark.lab


def test_one_process_is_rank_0_of_1_without_anything_started():
    assert (rank(), world_size()) == (0, 1)
    assert row_counts(3, device=torch.device("cpu")) == (3,)


def test_of_one_process_the_rows_are_its_own_and_so_is_their_gradient():
    rows = torch.ones(3, 2, requires_grad=True)
    (2 * gather_rows(rows)).sum().backward()
    assert rows.grad.tolist() == [[2.0, 2.0]] * 3


def test_sums_and_maxima_are_new_tensors_without_gradient():
    one = torch.ones(2, requires_grad=True)
    for reduced in (all_sum(one), all_max(one)):
        assert reduced.tolist() == [1.0, 1.0]
        assert not reduced.requires_grad
        assert reduced.data_ptr() != one.data_ptr()


@pytest.mark.slow
def test_rows_of_four_ranks_are_in_the_order_of_the_ranks_also_where_one_has_none():
    for found in sharded_runs.runs()["gather", 4]:
        assert found["everyone"].flatten().tolist() == [0, 1, 2, 20, 21, 30]
        assert found["labels"].tolist() == [0, 0, 0, 2, 2, 3]


@pytest.mark.slow
def test_a_gradient_is_the_sum_over_the_ranks_at_the_rank_of_its_row():
    """Rank r adds (r + 1) i x_i for row i, and 1 + 2 + 3 + 4 is 10."""
    found = [one["gradient"].flatten().tolist() for one in sharded_runs.runs()["gather", 4]]
    assert found == [[0, 10, 20], [], [30, 40], [50]]


@pytest.mark.slow
def test_every_rank_has_the_same_sum_and_the_same_maximum():
    for found in sharded_runs.runs()["gather", 4]:
        assert found["sum"].tolist() == [6, -6]
        assert found["largest"].tolist() == [3, 0]
