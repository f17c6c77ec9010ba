"""A matrix on disk as unit rows: mapped where it is one, normalized where that is said."""

from __future__ import annotations

import numpy as np
import pytest

from tronie.data.readers.features import write_features
from tronie.errors import BadArray, BadFile, BadInput
from tronie.evaluation.stored_rows import open_stored_rows
from tronie.geometry.hypersphere import normalize

ROWS = np.random.default_rng(0).normal(size=(20, 6))
UNIT = normalize(ROWS)[0]


@pytest.mark.parametrize("name", ["M.npy", "M.bin"])
def test_unit_rows_are_the_stored_ones_in_either_form(tmp_path, name):
    write_features(tmp_path / name, UNIT)
    np.testing.assert_array_equal(open_stored_rows(tmp_path / name, lengths="unit"), UNIT)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_rows_of_any_length_and_float_are_normalized_once(tmp_path, dtype):
    np.save(tmp_path / "M.npy", (3 * ROWS).astype(dtype))
    found = open_stored_rows(tmp_path / "M.npy", lengths="any")
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, normalize((3 * ROWS).astype(dtype))[0])


def test_what_is_said_about_lengths_must_hold(tmp_path):
    write_features(tmp_path / "M.npy", (2 * UNIT).astype(np.float32))
    with pytest.raises(BadArray, match=r"row 0 of 20 features has length 2,"):
        open_stored_rows(tmp_path / "M.npy", lengths="unit")
    with pytest.raises(BadInput, match='"unit" or "any"; got \'some\''):
        open_stored_rows(tmp_path / "M.npy", lengths="some")
    (tmp_path / "M.npy").write_bytes(b"\x93NUMPY broken")
    with pytest.raises(BadFile, match=r"M.npy is an .npy of the unknown version"):
        open_stored_rows(tmp_path / "M.npy", lengths="any")
