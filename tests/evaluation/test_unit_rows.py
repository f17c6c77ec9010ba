"""Rows at length 1, kept where they are or normalized."""

from __future__ import annotations

import numpy as np
import pytest

from tronie.errors import BadArray
from tronie.evaluation import unit_rows as module
from tronie.evaluation.unit_rows import unit_rows
from tronie.geometry.hypersphere import normalize

ROWS = np.random.default_rng(0).normal(size=(30, 5)).astype(np.float32)


def test_unit_rows_are_left_where_they_are(tmp_path):
    np.save(tmp_path / "M.npy", normalize(ROWS)[0])
    mapped = np.load(tmp_path / "M.npy", mmap_mode="r")
    found = unit_rows(mapped)
    assert found.rows is mapped
    assert found.notes == ()


def test_other_rows_are_normalized_in_pieces_as_in_one_go(monkeypatch):
    monkeypatch.setattr(module, "_ROWS_AT_ONCE", 7)
    found = unit_rows(ROWS)
    assert (found.rows == normalize(ROWS)[0]).all()
    assert found.notes == ("30 of 30 rows were not of length 1, and all were normalized",)


def test_one_long_row_is_enough():
    rows = normalize(ROWS)[0]
    rows[4] *= 2
    found = unit_rows(rows)
    assert found.notes == ("1 of 30 rows were not of length 1, and all were normalized",)
    np.testing.assert_allclose(np.linalg.norm(found.rows, axis=1), 1, atol=1e-6)


@pytest.mark.parametrize(
    ("value", "fault"), [(np.nan, "holds NaN or infinity"), (0, "is all zeros and has no dir")]
)
def test_a_row_without_direction_is_named_by_its_number(value, fault, monkeypatch):
    monkeypatch.setattr(module, "_ROWS_AT_ONCE", 7)
    rows = ROWS.copy()
    rows[23] = value
    with pytest.raises(BadArray, match=f"^row 23 of 30 features {fault}"):
        unit_rows(rows)


def test_another_type_is_refused():
    with pytest.raises(BadArray, match=r"^features must be float32 of shape \(N, D\); got float64"):
        unit_rows(ROWS.astype(float))
