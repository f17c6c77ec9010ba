"""Contracts: inferred, beside the file or refused; and the id that galleries carry."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from toys import toy_constants, toy_detector, toy_embedder
from tronie.errors import BadFile, BadModel, NotFound
from tronie.runtime.contract import (
    Contract,
    check_contract,
    contract_beside,
    contract_from_table,
    embedding_contract_id,
    infer_contract,
)
from tronie.runtime.session import open_session

EMBEDDER = Contract(kind="embedder", format="embedding", dimension=8)
SHA_A, SHA_B = "a" * 64, "b" * 64

STATED = """
[contract]
kind = "embedder"
format = "embedding"
color = "bgr"
mean = [1, 2, 3]
std = [4.0, 5.0, 6.0]
width = 96
height = 112
dimension = 8
"""


def zeros(**shapes):
    return {name: np.zeros(shape, np.float32) for name, shape in shapes.items()}


def heads(levels, sizes, *, side=32, batch=()):
    """SCRFD outputs by head, strides 8, 16, ... of a square canvas."""
    per_cell = 2 if levels == 3 else 1
    rows = [per_cell * max(1, -(-side // (8 << n))) ** 2 for n in range(levels)]
    return zeros(**{f"o{s}_{n}": (*batch, rows[n], s) for s in sizes for n in range(levels)})


# --- stated -------------------------------------------------------------------------------


def test_a_table_beside_the_file_is_read(tmp_path):
    (tmp_path / "net.toml").write_text(STATED)
    contract = contract_beside(tmp_path / "net.onnx")
    assert contract == Contract(
        kind="embedder", format="embedding", color="bgr", mean=(1, 2, 3), std=(4, 5, 6), width=96,
        height=112, dimension=8,
    )  # fmt: skip
    assert contract.assumed == ()


def test_without_a_table_there_is_none(tmp_path):
    assert contract_beside(tmp_path / "net.onnx") is None


def test_a_contract_survives_the_way_through_json():
    told = EMBEDDER.to_dict()
    told.pop("assumed")
    assert contract_from_table({**told, "mean": list(told["mean"])}, name="x") == EMBEDDER


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"kind": "oracle"}, "x.toml: contract kind must be detector or embedder; got 'oracle'"),
        ({"format": "scrfd"}, "an embedder's format must be embedding; got 'scrfd'"),
        ({"color": "grey"}, "color must be rgb or bgr; got 'grey'"),
        ({"mean": [1, 2]}, r"need three values each, std above 0; got \(1, 2\)"),
        ({"mean": 127.5}, "need three values each, std above 0; got 127.5"),
        ({"std": [1, 0, 1]}, "std above 0"),
        ({"std": ["1", "1", "1"]}, "need three values each"),
        ({"mean": [float("nan")] * 3}, "need three values each"),
        ({"width": 0}, "whole numbers from 1 to 8192; got 0, 112 and 8"),
        ({"width": "112"}, "whole numbers from 1 to 8192; got '112'"),
        ({"height": 10**9}, "whole numbers from 1 to 8192"),
        ({"dimension": 12.5}, "whole numbers from 1 to 8192"),
        ({"score_threshold": 1.5}, r"thresholds must lie in \[0, 1\]; got \(1.5, 0.4\)"),
        ({"nms_threshold": "x"}, r"thresholds must lie in \[0, 1\]"),
        ({"nms_pixel_offset": 0.5}, "nms_pixel_offset must be 0 or 1; got 0.5"),
        ({"colour": "rgb"}, r"x.toml: \[contract\] needs kind and format, and knows .*colour"),
        ({"assumed": ["all"]}, r"\[contract\] needs kind and format"),
    ],
)
def test_a_value_that_cannot_be_is_refused(change, words):
    table = {"kind": "embedder", "format": "embedding", "dimension": 8, **change}
    with pytest.raises(BadFile, match=words):
        contract_from_table(table, name="x.toml")


@pytest.mark.parametrize("table", [{}, {"kind": "embedder"}, [], 3, "text"])
def test_a_table_without_kind_and_format_is_refused(table):
    with pytest.raises(BadFile, match=r"x.toml: .*needs kind and format"):
        contract_from_table(table, name="x.toml")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"[contract\n", "net.toml cannot be read as TOML"),
        (b"\xff\xfe", "net.toml cannot be read as TOML"),
        (b"contract = 3\n", r"net.toml: \[contract\] needs kind and format.*got nothing"),
        (b"kind = 'embedder'\n", r"net.toml: \[contract\] needs kind and format.*got nothing"),
    ],
)
def test_a_damaged_table_beside_the_file_is_refused(content, words, tmp_path):
    (tmp_path / "net.toml").write_bytes(content)
    with pytest.raises(BadFile, match=words):
        contract_beside(tmp_path / "net.onnx")


# --- inferred -----------------------------------------------------------------------------


def test_an_embedder_is_told_by_its_one_output_and_what_was_assumed_is_said(embedder_file):
    contract = infer_contract(open_session(embedder_file))
    assert (contract.kind, contract.color, contract.dimension) == ("embedder", "rgb", 8)
    assert (contract.width, contract.height) == (112, 112)
    assert contract.mean == contract.std == (127.5, 127.5, 127.5)
    assert contract.assumed == (
        "toy-embedder: input taken to be RGB, (pixel - 127.5) / 127.5; state it in "
        "toy-embedder.toml if that is wrong",
    )


def test_an_embedder_that_normalizes_inside_takes_raw_pixels(embedder_file, tmp_path):
    model = onnx.load(embedder_file)
    model.graph.node[0].input[0] = "centred"
    model.graph.node.insert(0, helper.make_node("Sub", ["input.1", "half"], ["centred"]))
    model.graph.initializer.append(helper.make_tensor("half", TensorProto.FLOAT, (), [127.5]))
    onnx.save(model, tmp_path / "inside.onnx")
    contract = infer_contract(open_session(tmp_path / "inside.onnx"))
    assert (contract.mean, contract.std) == ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
    assert "raw 0..255" in contract.assumed[0]


@pytest.mark.parametrize(
    ("outputs", "key"),
    [
        (zeros(boxes=(1, 5, 4), scores=(1, 5)), "decoded"),
        (zeros(boxes=(1, 5, 4), scores=(1, 5), landmarks=(1, 5, 10)), "decoded"),
        (zeros(loc=(1, 42, 4), conf=(1, 42, 2), landms=(1, 42, 10)), "retinaface"),
        (heads(3, (1, 4)), "scrfd"),
        (heads(3, (1, 4, 10)), "scrfd"),
        (heads(5, (1, 4)), "scrfd"),
        (heads(5, (1, 4, 10), batch=(1,)), "scrfd"),
        (zeros(**{f"o{n}": (1, 16, size) for n, size in enumerate([1] * 6 + [4] * 3 + [10] * 3)}),
         "yunet"),
    ],
    ids=["decoded 2", "decoded 3", "retinaface", "scrfd 6", "scrfd 9", "scrfd 10", "scrfd 15",
         "yunet"],
)  # fmt: skip
def test_a_detector_is_told_by_its_outputs(outputs, key, tmp_path):
    file = toy_constants(tmp_path / "net.onnx", outputs, shape=(1, 3, 32, 64))
    contract = infer_contract(open_session(file))
    assert (contract.kind, contract.format) == ("detector", key)
    assert (contract.width, contract.height) == (64, 32)
    assert contract.assumed == (f"net: taken for a detector of the {key} format by its outputs",)


def test_a_model_that_is_neither_is_refused_with_its_outputs(tmp_path):
    file = toy_constants(tmp_path / "net.onnx", zeros(a=(1, 2, 3, 4), b=(1, 5)))
    words = r"neither an embedder .* nor a detector .*a \(1, 2, 3, 4\), b \(1, 5\).*net.toml"
    with pytest.raises(BadModel, match=words):
        infer_contract(open_session(file))


# --- held to it ---------------------------------------------------------------------------


def test_a_model_that_keeps_its_contract_passes(embedder_file, detector_file):
    check_contract(open_session(embedder_file), EMBEDDER)
    check_contract(open_session(embedder_file), replace(EMBEDDER, dimension=None))
    check_contract(open_session(detector_file), Contract(kind="detector", format="decoded"))


def test_a_dimension_that_the_file_leaves_free_may_be_stated(tmp_path):
    file = toy_embedder(tmp_path / "free.onnx")
    model = onnx.load(file)
    model.graph.output[0].type.tensor_type.shape.dim[1].dim_param = "D"
    onnx.save(model, file)
    check_contract(open_session(file), EMBEDDER)
    with pytest.raises(BadModel, match="its contract says one embedding of None numbers"):
        check_contract(open_session(file), replace(EMBEDDER, dimension=None))


@pytest.mark.parametrize(
    ("promised", "words"),
    [
        (replace(EMBEDDER, width=96), "takes 112x112 crops; its contract says 96x112"),
        (replace(EMBEDDER, dimension=512), r"gives \[\(None, 8\)\].*one embedding of 512 numbers"),
        (Contract(kind="detector", format="scrfd"), "1 outputs that are not of the scrfd format"),
        (Contract(kind="detector", format="decoded"), "not of the decoded format"),
    ],
)
def test_a_model_that_breaks_its_contract_is_refused(promised, words, embedder_file):
    with pytest.raises(BadModel, match=words):
        check_contract(open_session(embedder_file), promised)


def test_a_format_that_nobody_wrote_is_refused_with_the_nearest(detector_file):
    with pytest.raises(NotFound, match=r"no entry 'scrdf' .* Did you mean 'scrfd'"):
        check_contract(open_session(detector_file), Contract(kind="detector", format="scrdf"))


def test_a_model_of_four_channels_is_refused(tmp_path):
    file = toy_constants(tmp_path / "net.onnx", zeros(y=(1, 8)), shape=(1, 4, 112, 112))
    with pytest.raises(BadModel, match="model net takes 4 channels; 3 were promised"):
        check_contract(open_session(file), EMBEDDER)


# --- the id -------------------------------------------------------------------------------


FINDER = Contract(kind="detector", format="yunet", width=640, height=640)


def identity(contract=EMBEDDER, model=SHA_A, detector=SHA_B, *, finder=FINDER, flip=False,
             canvas=(640, 640)):  # fmt: skip
    return embedding_contract_id(
        contract, model, detector=finder, detector_sha256=detector, canvas=canvas, flip=flip
    )


DECIDING = {
    "color": "bgr",
    "mean": (1.0, 2.0, 3.0),
    "std": (1.0, 2.0, 3.0),
    "width": 96,
    "height": 128,
}
INDIFFERENT = {
    "dimension": None,  # the model's SHA-256 says it already
    "score_threshold": 0.9,
    "nms_threshold": 0.9,
    "nms_pixel_offset": 1.0,
    "assumed": ("something",),
}


def test_every_field_of_a_contract_either_decides_or_does_not():
    assert {f.name for f in fields(Contract)} == {"kind", "format", *DECIDING, *INDIFFERENT}


def test_the_thresholds_of_the_detector_decide_which_faces_are_found_and_not_where():
    for name in ("score_threshold", "nms_threshold", "nms_pixel_offset", "width"):
        changed = replace(FINDER, **{name: 32 if name == "width" else 1.0})
        assert identity(finder=changed) == identity()


def test_the_id_changes_with_each_ingredient():
    ids = [
        identity(),
        identity(model="c" * 64),
        identity(detector="c" * 64),
        identity(flip=True),
        identity(canvas=(640, 320)),
        identity(canvas=(320, 640)),
        *(identity(finder=replace(FINDER, **{k: DECIDING[k]})) for k in ("color", "mean", "std")),
        *(identity(replace(EMBEDDER, **{name: value})) for name, value in DECIDING.items()),
    ]
    assert len(set(ids)) == len(ids)


@pytest.mark.parametrize("name", INDIFFERENT)
def test_the_id_does_not_change_with_what_decides_nothing(name):
    assert identity(replace(EMBEDDER, **{name: INDIFFERENT[name]})) == identity()


def test_whole_numbers_and_decimals_are_the_same_pixels():
    whole = replace(EMBEDDER, mean=(0, 0, 0), std=(1, 1, 1))
    assert identity(whole) == identity(replace(EMBEDDER, mean=(0.0,) * 3, std=(1.0,) * 3))


def test_the_id_has_its_stated_form():
    head, digest = identity().rsplit("-", 1)
    assert (head, len(digest)) == ("tronie-1", 32)
    assert int(digest, 16) >= 0


def test_a_toy_detector_may_be_run_as_its_inferred_contract(tmp_path):
    session = open_session(toy_detector(tmp_path / "toy.onnx"))
    check_contract(session, infer_contract(session))
