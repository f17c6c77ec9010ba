"""An ONNX file as the lab writes it: short names, its contract beside it, whole or not at all.

graph      arrays between operators are numbered; operators and weights keep their names
contract   `model.toml` beside `model.onnx`, as `tronie.runtime.contract` reads it
writing    to a file beside it first, which then takes the name
"""

from __future__ import annotations

import os
from dataclasses import fields
from pathlib import Path
from typing import Any

from tronie.runtime.contract import Contract


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
    """The [contract] table; what is not stated is left out."""
    lines = ["[contract]"]
    for field in fields(Contract):
        value = getattr(contract, field.name)
        if field.name != "assumed" and value is not None:
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
