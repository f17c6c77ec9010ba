"""A model as it was published, rewritten once for the cache, with proof that it is the same.

The proof is a run on noise: the rewritten model must give what the original gives, within
`PARITY` of the largest number of each output, and where the batch was freed a batch of three
must give what three single pictures give.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from tronie.errors import BadFile, ZooError
from tronie.runtime import graph
from tronie.runtime.dequantization import dequantize
from tronie.runtime.session import EngineOptions, Session, session_of

PARITY = 1e-3
"""A prepared model may differ from its original by this part of the largest output."""

STEPS: dict[str, Callable[[onnx.ModelProto], onnx.ModelProto]] = {
    "dequantize": dequantize,
    "free_batch": graph.free_batch,
    "free_size": graph.free_size,
    "opset_13": lambda model: graph.lower_opset(model, 13),
}


def prepared(name: str, data: bytes, steps: Sequence[str]) -> bytes:
    """The bytes of the rewritten model; `steps` are keys of `STEPS`, in order.

    Raises:
        BadFile: an unknown step.
        BadModel: a step that this graph does not allow.
        ZooError: the rewritten model does not agree with its original.
    """
    unknown = [step for step in steps if step not in STEPS]
    if unknown:
        raise BadFile(
            f"entry {name} asks for the unknown step {unknown[0]!r}; there is {', '.join(STEPS)}"
        )
    original = graph.parse_graph(data, name=name)
    model = original
    for step in steps:
        model = STEPS[step](model)
    options = EngineOptions(threads=1, precision="stored")
    before = session_of(original, options, name=name)
    after = session_of(model, options, name=name)
    pictures = _noise(before, 3 if after.batch is None else 1)
    one_by_one = [before.run(pictures[n : n + 1]) for n in range(len(pictures))]
    expected = [np.concatenate(parts) for parts in zip(*one_by_one, strict=True)]
    for want, got in zip(expected, after.run(pictures), strict=True):
        _agree(name, steps, want, got)
    return bytes(model.SerializeToString(deterministic=True))


def _noise(session: Session, pictures: int) -> NDArray[np.float32]:
    _, channels, height, width = session.input.shape
    shape = (pictures, channels or 3, height or 64, width or 64)
    return np.random.default_rng(0).uniform(0, 255, shape).astype(np.float32)


def _agree(name: str, steps: Sequence[str], want: NDArray[Any], got: NDArray[Any]) -> None:
    if want.shape == got.shape:
        most = float(np.abs(want - got).max(initial=0.0))
        if most <= PARITY * max(1e-6, float(np.abs(want).max(initial=0.0))):  # False for NaN
            return
        found = f"by {most:.2g}"
    else:
        found = f"from shape {want.shape} to {got.shape}"
    raise ZooError(f"preparing {name} ({', '.join(steps)}) changed its result {found}")
