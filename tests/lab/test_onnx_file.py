"""Files of the lab: a contract that reads back, a graph with short names, nothing half written."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from onnx import TensorProto, helper  # noqa: E402 - only where torch is

from tronie.lab.training.onnx_file import (  # noqa: E402
    contract_toml,
    file_bytes,
    traced_graph,
    with_short_names,
    write_whole,
)
from tronie.runtime.contract import Contract, contract_from_table  # noqa: E402

pytestmark = pytest.mark.lab

CONTRACTS = [
    Contract(kind="embedder", format="embedding", dimension=128),
    Contract(
        kind="detector",
        format="scrfd",
        color="bgr",
        mean=(104.0, 117.0, 123.5),
        std=(128.0, 128.0, 128.0),
        width=320,
        height=256,
        score_threshold=0.3,
        nms_threshold=0.45,
        nms_pixel_offset=1.0,
    ),
]


@pytest.mark.parametrize("contract", CONTRACTS, ids=lambda c: c.kind)
def test_a_contract_reads_back_as_it_was(contract):
    table = tomllib.loads(contract_toml(contract))
    assert contract_from_table(table["contract"], name="x.toml") == contract


def test_the_contract_of_an_embedder_says_nothing_of_detecting():
    assert contract_toml(CONTRACTS[0]) == (
        "[contract]\n"
        'kind = "embedder"\n'
        'format = "embedding"\n'
        'color = "rgb"\n'
        "mean = [127.5, 127.5, 127.5]\n"
        "std = [127.5, 127.5, 127.5]\n"
        "width = 112\n"
        "height = 112\n"
        "dimension = 128\n"
    )


def test_a_traced_graph_has_the_names_the_free_axes_and_the_opset_asked_for():
    network = torch.nn.Sequential(torch.nn.Conv2d(3, 2, 1), torch.nn.ReLU())
    free = {"seen": {0: "batch", 2: "height"}, "told": {0: "batch", 2: "height"}}
    model = traced_graph(
        network.eval(), torch.zeros(2, 3, 4, 5), name="seen", outputs=["told"], free=free, opset=15
    )
    ends = {value.name: value for value in [*model.graph.input, *model.graph.output]}
    axes = {
        name: [d.dim_param or d.dim_value for d in value.type.tensor_type.shape.dim]
        for name, value in ends.items()
    }
    assert axes == {"seen": ["batch", 3, "height", 5], "told": ["batch", 2, "height", 5]}
    assert [opset.version for opset in model.opset_import] == [15]
    assert model.graph.node[0].output[0] == "a0"
    assert file_bytes(model) == file_bytes(model)


def test_arrays_between_operators_are_numbered_and_ends_keep_their_names():
    nodes = [
        helper.make_node("Relu", ["in"], ["/long/path/of/relu"], name="first"),
        helper.make_node("Neg", ["/long/path/of/relu"], ["/long/path/of/neg"], name="second"),
        helper.make_node("Abs", ["/long/path/of/neg"], ["out"], name="third"),
    ]
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in ("in", "out")]
    model = helper.make_model(helper.make_graph(nodes, "g", ends[:1], ends[1:]))
    graph = with_short_names(model).graph
    assert [(list(n.input), list(n.output)) for n in graph.node] == [
        (["in"], ["a0"]),
        (["a0"], ["a1"]),
        (["a1"], ["out"]),
    ]
    assert [n.name for n in graph.node] == ["first", "second", "third"]


def test_a_file_is_replaced_as_a_whole_and_nothing_is_left_beside_it(tmp_path):
    file = tmp_path / "model.onnx"
    file.write_bytes(b"before")
    write_whole(file, b"after")
    assert file.read_bytes() == b"after"
    assert list(tmp_path.iterdir()) == [file]


def test_what_cannot_be_written_leaves_what_was_there(tmp_path, monkeypatch):
    file = tmp_path / "model.onnx"
    file.write_bytes(b"before")

    def refuse(self, target):
        raise OSError("no space left")

    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(OSError, match="no space left"):
        write_whole(file, b"after")
    assert file.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [file]
