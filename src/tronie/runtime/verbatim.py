"""A model run verbatim: the engine gets the bytes of the file, and nothing is rewritten.

For those who judge a model that somebody else wrote: what is measured has to be what was handed
in. `session` prepares a graph first (loops refused, 8-bit operators turned into float32 ones,
stale inputs dropped), holds several copies of its weights while it does, and takes one picture
tensor only; here the file is opened as it is, whatever it takes and gives.

Nothing bounds what the graph does: a file of which nothing is known belongs into a process of its
own, with limits.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tronie.errors import BadModel
from tronie.runtime.engine import onnxruntime, session_options

DTYPES = {
    "tensor(float)": "float32",
    "tensor(float16)": "float16",
    "tensor(double)": "float64",
    "tensor(bool)": "bool",
    **{f"tensor({sign}int{bits})": f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16)},
    **{f"tensor({sign}int{bits})": f"{sign}int{bits}" for sign in ("", "u") for bits in (32, 64)},
}
"""What the engine calls an element type, and what numpy does."""


class Signature(NamedTuple):
    """Name, element type and shape of one input or output.

    The type is "none" for lists, maps and texts; None stands for a free axis.
    """

    name: str
    dtype: str
    shape: tuple[int | None, ...]


class VerbatimSession:
    """An open model; use `open_verbatim`. Attributes: `inputs`, `outputs`, in file order."""

    def __init__(self, engine: onnxruntime.InferenceSession) -> None:
        self._engine = engine
        self.inputs = tuple(_signature(value) for value in engine.get_inputs())
        self.outputs = tuple(_signature(value) for value in engine.get_outputs())

    def run(self, pixels: NDArray[np.float32]) -> list[Any]:
        """One call with `pixels` for the first input; the outputs in file order, as they come.

        Raises:
            BadModel: the engine failed, with its own words.
            MemoryError: no memory was left.
        """
        if not self.inputs:
            raise BadModel("the model has no input that pictures could be given to")
        try:
            return list(self._engine.run(None, {self.inputs[0].name: pixels}))
        except MemoryError:
            raise
        except Exception as fault:  # the engine's errors share no base class
            raise _told(fault) from fault


def open_verbatim(data: bytes, threads: int) -> VerbatimSession:
    """Open the bytes of an ONNX file on the CPU with `threads` cores for one call.

    Raises:
        BadModel: the engine cannot open it, with its own words.
        MemoryError: no memory was left.
    """
    settings = session_options(threads)
    try:
        return VerbatimSession(
            onnxruntime.InferenceSession(
                data, settings, providers=["CPUExecutionProvider"], enable_fallback=0
            )
        )
    except MemoryError:
        raise
    except Exception as fault:  # the engine's errors share no base class
        raise _told(fault) from fault


def _told(fault: Exception) -> BadModel | MemoryError:
    """The engine says "no memory" in several ways."""
    words = str(fault)
    if any(sign in words for sign in ("bad_alloc", "bad allocation", "Failed to allocate memory")):
        return MemoryError(words)
    return BadModel(f"the engine failed: {words}")


def _signature(value: Any) -> Signature:
    shape = tuple(
        size if isinstance(size, int) and size > 0 else None for size in value.shape or ()
    )
    return Signature(str(value.name), DTYPES.get(value.type, "none"), shape)
