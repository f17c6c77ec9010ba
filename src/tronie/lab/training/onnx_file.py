"""An ONNX file as the lab writes it: short names, its contract beside it, whole or not at all.

graph      traced by torch; arrays between operators are numbered, operators and weights keep
           their names
contract   `model.toml` beside `model.onnx`, as `tronie.runtime.contract` reads it
writing    to a file beside it first, which then takes the name

It is torch's exporter by tracing (`dynamo=False`) that is asked. It gives opset 17 without a
conversion, folds batch norms, and needs nothing beside torch; the newer one starts at opset
18 and needs onnxscript. Its warning that it is the older one is not shown.
"""

from __future__ import annotations

import io
import os
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from tronie.runtime.contract import Contract
from tronie.runtime.graph import parse_graph

OPSET = 17
OF_DETECTORS = ("score_threshold", "nms_threshold", "nms_pixel_offset")
"""Fields of a contract that say nothing of other models."""


def traced_graph(
    network: nn.Module,
    pictures: Tensor,
    *,
    name: str,
    outputs: Sequence[str],
    free: Mapping[str, Mapping[int, str]],
    opset: int = OPSET,
) -> Any:
    """The ONNX graph of a network that is on the CPU and in evaluation, with short names.

    Args:
        network: Takes `pictures`, gives as many arrays as there are `outputs`.
        pictures: What it is traced on.
        name: Of its input.
        free: Of each input and output the axes that stay free, by number, with their names.
    """
    buffer = io.BytesIO()
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.onnx.export(
            network,
            (pictures,),
            buffer,  # type: ignore[arg-type]  # taken where dynamo=False, and not declared
            input_names=[name],
            output_names=list(outputs),
            dynamic_axes=free,
            opset_version=opset,
            dynamo=False,
        )
    return with_short_names(parse_graph(buffer.getvalue(), name="the exported network"))


def file_bytes(graph: Any) -> bytes:
    """The file of a graph: the same bytes for the same graph."""
    return bytes(graph.SerializeToString(deterministic=True))


def with_short_names(model: Any) -> Any:
    """The same graph with the arrays between its operators numbered.

    Their paths would be written three times each. `model` is changed, and returned.
    """
    kept = {value.name for value in [*model.graph.input, *model.graph.output]}
    short: dict[str, str] = {}
    for node in model.graph.node:
        for n, name in enumerate(node.input):
            node.input[n] = short.get(name, name)
        for n, name in enumerate(node.output):
            if name and name not in kept:
                short[name] = f"a{len(short)}"
                node.output[n] = short[name]
    del model.graph.value_info[:]
    return model


def contract_toml(contract: Contract) -> str:
    """The [contract] table; what is not stated, or says nothing of its kind, is left out."""
    unsaid = ("assumed",) if contract.kind == "detector" else ("assumed", *OF_DETECTORS)
    lines = ["[contract]"]
    for field in fields(Contract):
        value = getattr(contract, field.name)
        if field.name not in unsaid and value is not None:
            lines.append(f"{field.name} = {_toml(value)}")
    return "\n".join(lines) + "\n"


def write_whole(file: Path, data: bytes) -> None:
    """Write the file whole or not at all."""
    part = file.with_name(f".{file.name}.{os.getpid()}.part")
    try:
        part.write_bytes(data)
        part.replace(file)
    finally:
        part.unlink(missing_ok=True)


def _toml(value: object) -> str:
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, tuple):
        return "[" + ", ".join(repr(float(each)) for each in value) + "]"
    return repr(value)
