"""What goes through the pipes between `sandbox` and its child: frames of bounded parts.

    bytes     what
    4         "TSB1"
    1         kind, a number of `Kind`
    3         0
    8         bytes of the head, little-endian, at most HEAD_MOST
    8         bytes of the body, little-endian
    head      a JSON object; for arrays {"arrays": [["float32", [64, 512]], ...]}
    body      the bytes of a model, or of the arrays one behind the other, in C order

Both sides read the numbers first and refuse what is too large before they make room for it. No
reader of a frame runs code that the frame chooses: there are numbers and JSON, and no pickle.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Mapping, Sequence
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tronie.errors import BadInput

MAGIC = b"TSB1"
PREFIX = struct.Struct("<4sB3xQQ")
HEAD_MOST = 65536
ARRAYS_MOST = 64
AXES_MOST = 8
DTYPES = frozenset(
    ["float16", "float32", "float64", "bool"]
    + [f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)]
)


Signature = tuple[str, str, tuple[int | None, ...]]
"""Name, element type ("none" for what is no array of numbers), shape with None for a free axis."""


class BadFrame(BadInput):
    """Bytes that are no frame, or one larger than was agreed."""


class Kind(IntEnum):
    """What a frame says."""

    READY = 1
    """From the child, before anything of the stranger's reaches it: what is enforced."""
    MODEL = 2
    """To the child: threads and name; the file is the body."""
    OPENED = 3
    """From the child: inputs and outputs."""
    RUN = 4
    """To the child: one array of pictures."""
    RESULT = 5
    """From the child: the outputs."""
    TIME = 6
    """To the child: batch, warmup, rounds; one array of pictures."""
    TIMES = 7
    """From the child: one array of milliseconds."""
    FAULT = 8
    """From the child: it could not; a word for why, and the engine's text."""


def prefix(kind: Kind, head: Mapping[str, Any], body_bytes: int) -> bytes:
    """A frame up to its body."""
    text = json.dumps(head).encode()
    if len(text) > HEAD_MOST:
        raise BadFrame(f"the head of a frame has {len(text)} bytes; at most {HEAD_MOST} are sent")
    return PREFIX.pack(MAGIC, kind, len(text), body_bytes) + text


def sizes(data: bytes | bytearray, *, body_most: int) -> tuple[Kind, int, int]:
    """Kind, bytes of the head and bytes of the body, from the first `PREFIX.size` bytes.

    Raises:
        BadFrame: these are no such bytes, or a part is over its bound.
    """
    magic, number, head_bytes, body_bytes = PREFIX.unpack(data)
    if magic != MAGIC or number not in frozenset(Kind):
        raise BadFrame("bytes arrived that begin no frame")
    if head_bytes > HEAD_MOST or body_bytes > body_most:
        raise BadFrame(
            f"a frame of {head_bytes} and {body_bytes} bytes was announced; at most {HEAD_MOST} "
            f"and {body_most} are read"
        )
    return Kind(number), head_bytes, body_bytes


def head_of(text: bytes | bytearray) -> dict[str, Any]:
    """The head of a frame.

    Raises:
        BadFrame: it is no JSON object.
    """
    try:
        head = json.loads(text)
    except (ValueError, RecursionError):
        raise BadFrame("the head of a frame is no JSON") from None
    if not isinstance(head, dict):
        raise BadFrame("the head of a frame is no JSON object")
    return head


def described(arrays: Sequence[NDArray[Any]]) -> dict[str, Any]:
    """The head for these arrays."""
    return {"arrays": [[a.dtype.name, list(a.shape)] for a in arrays]}


def flat(array: NDArray[Any]) -> memoryview:
    """The bytes of an array in C order, without a copy where they lie so already."""
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8).data


def arrays_of(head: Mapping[str, Any], body: bytes | bytearray) -> list[NDArray[Any]]:
    """The arrays that the head describes; they lie in `body`.

    Raises:
        BadFrame: the head describes no arrays, or other ones than the body holds.
    """
    listed = head.get("arrays")
    if not isinstance(listed, list) or len(listed) > ARRAYS_MOST:
        raise BadFrame(f"the head of a frame lists no arrays, or more than {ARRAYS_MOST}")
    found: list[NDArray[Any]] = []
    start = 0
    for entry in listed:
        dtype, shape = _checked(entry)
        size_bytes = math.prod(shape) * dtype.itemsize
        if size_bytes > len(body) - start:
            raise BadFrame("the head of a frame describes more than its body holds")
        found.append(_view(body, dtype, shape, start))
        start += size_bytes
    if start != len(body):
        raise BadFrame("the body of a frame holds more than its head describes")
    return found


def signatures_of(head: Mapping[str, Any], which: str) -> tuple[Signature, ...]:
    """The "inputs" or "outputs" that the head lists.

    Raises:
        BadFrame: it lists none, or in another form than ours.
    """
    listed = head.get(which)
    if not isinstance(listed, list):
        raise BadFrame(f"no {which} are listed")
    found: list[Signature] = []
    for entry in listed:
        if not isinstance(entry, list) or len(entry) != 3:
            raise BadFrame(f"{which} are described in another form than ours")
        name, dtype, shape = entry
        known = isinstance(dtype, str) and (dtype in DTYPES or dtype == "none")
        if not isinstance(name, str) or not known or not isinstance(shape, list):
            raise BadFrame(f"{which} are described in another form than ours")
        if any(size is not None and (type(size) is not int or size < 1) for size in shape):
            raise BadFrame(f"{which} have an axis of no possible length")
        found.append((name, dtype, tuple(shape)))
    return tuple(found)


def _view(
    body: bytes | bytearray, dtype: np.dtype[Any], shape: tuple[int, ...], start: int
) -> NDArray[Any]:
    try:
        if 0 in shape:
            return np.zeros(shape, dtype)
        return np.frombuffer(body, dtype, math.prod(shape), start).reshape(shape)
    except ValueError:  # an empty array whose other axes are too long together
        raise BadFrame("the head of a frame describes an axis of no possible length") from None


def _checked(entry: Any) -> tuple[np.dtype[Any], tuple[int, ...]]:
    if not isinstance(entry, list) or len(entry) != 2:
        raise BadFrame("the head of a frame describes an array in another form than ours")
    name, shape = entry
    if not isinstance(name, str) or name not in DTYPES:
        raise BadFrame("the head of a frame names an element type that is not sent")
    if not isinstance(shape, list) or len(shape) > AXES_MOST:
        raise BadFrame(f"the head of a frame describes an array of more than {AXES_MOST} axes")
    if any(type(size) is not int or not 0 <= size < 2**40 for size in shape):
        raise BadFrame("the head of a frame describes an axis of no possible length")
    return np.dtype(name), tuple(shape)
