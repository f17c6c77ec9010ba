"""The list of parts is JSON that names files beside it; rows know where they lie."""

from __future__ import annotations

import json
import zlib

import pytest

from tronie.errors import BadFile

torch = pytest.importorskip("torch")

from tronie.lab.training.checkpoint import newest_checkpoint, save_checkpoint  # noqa: E402
from tronie.lab.training.checkpoint_parts import LIST, Rows, part_of, sum_of_list  # noqa: E402

pytestmark = pytest.mark.lab


def test_rows_know_the_shape_of_the_whole_and_their_place_in_it():
    rows = Rows(torch.zeros(4, 3), 6, 20)
    assert rows.shape == (20, 3)
    assert (tuple(rows.chunk.offsets), tuple(rows.chunk.sizes)) == ((6, 0), (4, 3))


def test_what_torch_has_not_cut_is_its_own_part():
    """What it has cut is tried in test_sharded_backbone, on two processes."""
    whole, rows = torch.zeros(3), Rows(torch.zeros(4, 3), 6, 20)
    assert part_of(whole) is whole
    assert part_of(rows) is rows


def test_the_list_names_types_shapes_and_places(tmp_path):
    place = save_checkpoint(tmp_path, {"a": torch.zeros(2, 3)}, step=5, note={"x": [1]})
    record = json.loads((place / LIST).read_text())
    assert (record["format"], record["step"], record["note"]) == (2, 5, {"x": [1]})
    about = record["tensors"]["a"]
    assert (about["dtype"], about["shape"]) == ("float32", [2, 3])
    (part,) = about["parts"]
    assert (part["offsets"], part["shape"]) == ([0, 0], [2, 3])
    written = (place / part["file"]).read_bytes()[part["at"] :][: part["bytes"]]
    assert len(written) == part["bytes"]
    assert part["crc32"] == zlib.crc32(written)


def test_a_list_that_names_a_file_elsewhere_is_refused(tmp_path):
    place = save_checkpoint(tmp_path, {"a": torch.zeros(2)}, step=1, note={})
    record = json.loads((place / LIST).read_text())
    record["tensors"]["a"]["parts"][0]["file"] = "../other"
    record["crc32"] = sum_of_list(record)
    (place / LIST).write_text(json.dumps(record))
    with pytest.raises(BadFile, match=r"the part '../other' is not in its folder"):
        newest_checkpoint(tmp_path)


def test_no_pickle_of_a_list_is_written(tmp_path):
    place = save_checkpoint(tmp_path, {"a": torch.zeros(2)}, step=1, note={})
    assert sorted(path.suffix for path in place.iterdir()) == [".distcp", ".json"]
