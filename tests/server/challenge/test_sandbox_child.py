"""The child answers frame by frame; what the model does wrong becomes a FAULT, and it goes on."""

from __future__ import annotations

import io

import numpy as np
import pytest

from tronie.errors import BadModel
from tronie.server.challenge import sandbox_child
from tronie.server.challenge import sandbox_frames as frames
from tronie.server.challenge.sandbox_frames import Kind

PIXELS = np.arange(24, dtype=np.float32).reshape(2, 3, 2, 2)


class Model:
    """Stands for an open model: `run` is what the test hands in."""

    inputs = (("x", "float32", (None, 3, 2, 2)),)
    outputs = (("y", "float32", (None, 1)),)

    def __init__(self, run):
        self.run = run


def answers(run, *requests, output_bytes=1000):
    """What the child says to MODEL and then to `requests`, as (kind, head, arrays)."""
    written, said = io.BytesIO(), io.BytesIO()
    sandbox_child.send(written, Kind.MODEL, {"threads": 1}, [b"the file"])
    for kind, head, arrays in requests:
        sandbox_child.send(written, kind, frames.described(arrays) | head, arrays)
    written.seek(0)

    def opened(data, threads):
        assert (data, threads) == (b"the file", 1)
        return Model(run)

    sandbox_child.serve(written, said, opened=opened, output_bytes=output_bytes)
    said.seek(0)
    found = []
    while begin := said.read(frames.PREFIX.size):
        kind, head_bytes, body_bytes = frames.sizes(begin, body_most=10**6)
        head = frames.head_of(said.read(head_bytes))
        body = said.read(body_bytes)
        found.append((kind, head, frames.arrays_of(head, body) if "arrays" in head else []))
    return found


RUN = (Kind.RUN, {}, [PIXELS])


def test_a_model_is_described_and_run():
    opened, ran = answers(lambda x: [x[:, :1] * 2, np.array([True])], RUN)
    assert opened == (
        Kind.OPENED,
        {"inputs": [["x", "float32", [None, 3, 2, 2]]], "outputs": [["y", "float32", [None, 1]]]},
        [],
    )
    np.testing.assert_array_equal(ran[2][0], PIXELS[:, :1] * 2)
    assert ran[2][1].tolist() == [True]


@pytest.mark.parametrize(
    ("outputs", "text"),
    [
        ([["a list"]], "an output is list, or of a type that is not sent"),
        ([np.array(["text"], dtype=object)], "an output is ndarray, or of a type"),
        ([np.zeros((1,) * 9, np.float32)], "an output has 9 axes"),
        ([np.zeros(251, np.float32)], "1004 bytes of outputs"),
        ([np.zeros(1, np.float32)] * 65, "65 outputs"),
    ],
)
def test_outputs_that_may_not_be_sent_are_a_fault(outputs, text):
    _, (kind, head, _) = answers(lambda x: outputs, RUN)
    assert (kind, head["why"]) == (Kind.FAULT, "output")
    assert text in head["text"]


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (BadModel("the engine failed: node 7"), "refused"),
        (MemoryError("bad allocation"), "memory"),
        (RecursionError("too deep"), "refused"),
        (UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad"), "refused"),
    ],
)
def test_a_model_that_fails_is_a_fault_and_the_next_request_is_answered(error, why):
    calls = iter([error, None])

    def run(x):
        if (fault := next(calls)) is not None:
            raise fault
        return [x]

    _, failed, ran = answers(run, RUN, RUN)
    assert (failed[0], failed[1]["why"]) == (Kind.FAULT, why)
    assert ran[0] is Kind.RESULT


def test_the_engines_words_are_cut():
    def run(x):
        raise BadModel("long " * 10000)

    _, (_, head, _) = answers(run, RUN)
    assert len(head["text"]) == sandbox_child.TEXT_MOST


def test_timing_goes_round_the_pictures_and_tells_only_the_rounds():
    seen = []

    def run(x):
        seen.append(x[:, 0, 0, 0].tolist())
        return [x]

    request = (Kind.TIME, {"batch": 1, "warmup": 1, "rounds": 3}, [PIXELS])
    _, (kind, _, (times,)) = answers(run, request)
    assert kind is Kind.TIMES
    assert (times.shape, times.dtype) == ((3,), np.float64)
    assert seen == [[12.0], [0.0], [12.0], [0.0]]  # the warmup takes the row before the first


def test_pictures_before_a_model_are_a_fault():
    written, said = io.BytesIO(), io.BytesIO()
    sandbox_child.send(written, Kind.RUN, frames.described([PIXELS]), [PIXELS])
    written.seek(0)
    sandbox_child.serve(written, said, opened=Model, output_bytes=1)
    assert b"a model has to be sent first" in said.getvalue()


@pytest.mark.onnx
def test_the_rehearsal_opens_runs_and_times_its_model(monkeypatch):
    kinds = []
    real = sandbox_child.send

    def send(file, kind, head, body=()):
        kinds.append(kind)
        real(file, kind, head, body)

    monkeypatch.setattr(sandbox_child, "send", send)
    sandbox_child.rehearse(threads=1)
    assert kinds[5:] == [Kind.FAULT, Kind.OPENED, Kind.FAULT, Kind.RESULT, Kind.TIMES]
