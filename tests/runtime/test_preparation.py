"""A rewritten model is kept only with proof that it computes what the original does."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from toys import toy_constants, toy_embedder
from tronie.errors import BadFile, BadModel, ZooError
from tronie.runtime import graph, preparation
from tronie.runtime.preparation import prepared
from tronie.runtime.session import EngineOptions, session_of


def opened(data):
    return session_of(graph.parse_graph(data, name="x"), EngineOptions(threads=1), name="x")


@pytest.fixture
def published(tmp_path):
    """The bytes of a recognizer whose batch is fixed at 1."""
    return toy_embedder(tmp_path / "published.onnx", batch=1).read_bytes()


def test_a_freed_batch_gives_three_rows_that_are_those_of_the_original(published):
    free = opened(prepared("toy", published, ["free_batch"]))
    assert free.batch is None
    pixels = np.random.default_rng(0).normal(size=(3, 3, 112, 112)).astype(np.float32)
    singles = [opened(published).run(pixels[n : n + 1])[0] for n in range(3)]
    np.testing.assert_allclose(free.run(pixels)[0], np.concatenate(singles), atol=1e-5)


def test_steps_are_taken_in_order(published, monkeypatch):
    taken = []
    for step in ("free_batch", "dequantize"):

        def spy(model, step=step, inner=preparation.STEPS[step]):
            taken.append(step)
            return inner(model)

        monkeypatch.setitem(preparation.STEPS, step, spy)
    prepared("toy", published, ["dequantize", "free_batch"])
    assert taken == ["dequantize", "free_batch"]


def test_the_same_input_gives_the_same_bytes(published):
    assert prepared("toy", published, ["free_batch"]) == prepared("toy", published, ["free_batch"])


def spoiled(change):
    """A step that changes each weight by `change`."""

    def step(model):
        result = onnx.ModelProto()
        result.CopyFrom(model)
        for tensor in result.graph.initializer:
            values = change(numpy_helper.to_array(tensor))
            tensor.CopyFrom(numpy_helper.from_array(values.astype(np.float32), tensor.name))
        return result

    return step


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda w: w * 1.1, r"preparing toy \(free_size\) changed its result by [\d.]+"),
        (lambda w: w * np.nan, r"preparing toy \(free_size\) changed its result by nan"),
        (lambda w: np.concatenate([w, w], axis=-1), "changed its result from shape .* to"),
    ],
    ids=["another number", "nan", "another shape"],
)
def test_a_step_that_changes_the_result_is_refused(change, words, published, monkeypatch):
    monkeypatch.setitem(preparation.STEPS, "free_size", spoiled(change))
    with pytest.raises(ZooError, match=words):
        prepared("toy", published, ["free_size"])


def test_a_change_below_the_parity_passes(published, monkeypatch):
    monkeypatch.setitem(preparation.STEPS, "free_size", spoiled(lambda w: w * (1 + 1e-5)))
    prepared("toy", published, ["free_size"])


def test_a_batch_that_cannot_be_freed_is_refused(tmp_path):
    """Constant outputs do not grow with the batch: a batch of one would hide it."""
    file = toy_constants(
        tmp_path / "net.onnx", {"embedding": np.ones((1, 8))}, shape=(1, 3, 112, 112)
    )
    words = r"changed its result from shape \(3, 8\) to \(1, 8\)"
    with pytest.raises(ZooError, match=words):
        prepared("toy", file.read_bytes(), ["free_batch"])


def test_an_unknown_step_is_refused_with_the_known_ones(published):
    with pytest.raises(BadFile, match="entry toy asks for the unknown step 'shrink'; there is deq"):
        prepared("toy", published, ["shrink"])


def test_bytes_that_are_no_model_are_refused():
    with pytest.raises(BadModel, match="toy is no ONNX"):
        prepared("toy", b"text", ["free_batch"])
