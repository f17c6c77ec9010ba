"""The other side of `sandbox`: a process that locks itself, then runs one stranger's model.

    1  limits; see `sandbox_lock`
    2  a model of ours is run once, so that the engine opens what it ever opens
    3  everything else is locked
    4  READY is sent: what is enforced. Up to here nothing of the stranger's was read
    5  MODEL is read and opened; then RUN and TIME are answered until the pipe is closed

Engines fold constants, inline functions and lay out memory while they open a model: all of it
happens in step 5, behind the lock. The file is opened as it is; see `tronie.runtime.verbatim`.

Started by `sandbox` with requests on standard input and answers on standard output; what is
printed goes to standard error.
"""

from __future__ import annotations

import io
import json
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from tronie.errors import BadModel
from tronie.runtime.verbatim import VerbatimSession, open_verbatim
from tronie.server.challenge import sandbox_frames as frames
from tronie.server.challenge import sandbox_lock
from tronie.server.challenge.sandbox_frames import Kind

REHEARSED = bytes.fromhex(
    "0807 3a3a 0a0c 0a0178 120179 220452656c75 120167"
    "5a1c 0a0178 1217 0a15 0801 1211 0a0312016e 0a020801 0a020801 0a020801"
    "6209 0a0179 1204 0a020801 4204 0a00100d"
)
"""An ONNX file: y = Relu(x), x float32 of shape (n, 1, 1, 1), opset 13."""
TEXT_MOST = 2000
"""Characters of the engine's own words that are passed on."""

Open = Callable[[bytes, int], VerbatimSession]
"""The bytes of a model and the threads of a call, to an open model."""


def main(opened: Open = open_verbatim) -> None:
    """Serve requests until standard input ends; argv[2] holds the settings as JSON.

    `opened` is what runs behind the lock when a model's bytes have come.
    """
    settings = json.loads(sys.argv[2])
    requests: BinaryIO = os.fdopen(os.dup(0), "rb")
    answers: BinaryIO = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)
    output_bytes: int = settings["output_bytes"]
    enforced = sandbox_lock.limit(
        memory_bytes=settings["memory_bytes"],
        cpu_s=settings["cpu_s"],
        file_bytes=settings["file_bytes"],
        open_files=settings["open_files"],
    )
    rehearse(settings["threads"])
    enforced = sandbox_lock.lock(
        parent=settings["parent"], threads=settings["processes"], found=enforced
    )
    send(answers, Kind.READY, enforced)
    serve(requests, answers, opened=opened, output_bytes=output_bytes)


def rehearse(threads: int) -> None:
    """Every kind of request once, on models of our own: what is loaded late is loaded now."""
    pixels = np.zeros((2, 1, 1, 1), np.float32)
    wrong = np.zeros((1, 2, 3, 4), np.float32)
    requests, answers = io.BytesIO(), io.BytesIO()
    for data in (b"no model", REHEARSED):
        send(requests, Kind.MODEL, {"threads": threads}, [data])
    send(requests, Kind.RUN, frames.described([wrong]), [wrong])
    send(requests, Kind.RUN, frames.described([pixels]), [pixels])
    timed = frames.described([pixels]) | {"batch": 1, "warmup": 1, "rounds": 2}
    send(requests, Kind.TIME, timed, [pixels])
    requests.seek(0)
    serve(requests, answers, opened=open_verbatim, output_bytes=1024)


def serve(requests: BinaryIO, answers: BinaryIO, *, opened: Open, output_bytes: int) -> None:
    """Answer one frame by one, until there is none."""
    model: VerbatimSession | None = None
    while data := requests.read(frames.PREFIX.size):
        kind, head_bytes, body_bytes = frames.sizes(data, body_most=sys.maxsize)
        head = frames.head_of(requests.read(head_bytes))
        body = requests.read(body_bytes)
        try:
            if kind is Kind.MODEL:
                model = opened(body, head["threads"])
                del body
                signature = {"inputs": model.inputs, "outputs": model.outputs}
                send(answers, Kind.OPENED, signature)
            elif model is None:
                raise BadModel("a model has to be sent first")
            elif kind is Kind.RUN:
                outputs = _arrays(model.run(frames.arrays_of(head, body)[0]), output_bytes)
                send(answers, Kind.RESULT, frames.described(outputs), outputs)
            else:
                times = _timed(model, frames.arrays_of(head, body)[0], head)
                send(answers, Kind.TIMES, frames.described([times]), [times])
        except _TooMuch as fault:
            _fail(answers, "output", fault)
        except MemoryError as fault:
            _fail(answers, "memory", fault)
        except Exception as fault:  # whatever the engine's bindings raise on a hostile graph
            _fail(answers, "refused", fault)


def send(
    answers: BinaryIO,
    kind: Kind,
    head: Mapping[str, Any],
    body: Sequence[bytes | NDArray[Any]] = (),
) -> None:
    """Write one frame."""
    parts = [part if isinstance(part, bytes) else frames.flat(part) for part in body]
    start = frames.prefix(kind, head, sum(len(part) for part in parts))
    for part in [start, *parts]:
        left = memoryview(part)
        while left:
            left = left[answers.write(left) :]


class _TooMuch(Exception):
    """Outputs that are not sent."""


def _fail(answers: BinaryIO, why: str, fault: BaseException) -> None:
    text = f"{type(fault).__name__}: {fault}"[:TEXT_MOST]
    send(answers, Kind.FAULT, {"why": why, "text": text})


def _arrays(outputs: list[Any], most: int) -> list[NDArray[Any]]:
    """The outputs, if they are arrays of numbers that may be sent."""
    if len(outputs) > frames.ARRAYS_MOST:
        raise _TooMuch(f"{len(outputs)} outputs")
    for output in outputs:
        if not isinstance(output, np.ndarray) or output.dtype.name not in frames.DTYPES:
            raise _TooMuch(f"an output is {type(output).__name__}, or of a type that is not sent")
        if output.ndim > frames.AXES_MOST:
            raise _TooMuch(f"an output has {output.ndim} axes")
    if (total := sum(output.nbytes for output in outputs)) > most:
        raise _TooMuch(f"{total} bytes of outputs")
    return outputs


def _timed(
    model: VerbatimSession, pixels: NDArray[np.float32], head: Mapping[str, Any]
) -> NDArray[np.float64]:
    """Milliseconds of each call; the pictures go round."""
    batch, warmup, rounds = head["batch"], head["warmup"], head["rounds"]
    times = np.zeros(rounds)
    for number in range(-warmup, rounds):
        rows = pixels[np.arange(number * batch, (number + 1) * batch) % len(pixels)]
        start = time.perf_counter()
        model.run(rows)
        if number >= 0:
            times[number] = 1000 * (time.perf_counter() - start)
    return times
