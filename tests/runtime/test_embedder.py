"""Crops to embeddings: any number of them, in any batch, gives the same rows."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from toys import toy_embedder
from tronie.errors import BadArray, BadModel
from tronie.runtime import zoo
from tronie.runtime.contract import Contract
from tronie.runtime.embedder import Embedder
from tronie.runtime.session import EngineOptions, open_session

EMBEDDER = Contract(kind="embedder", format="embedding", dimension=8)
CROPS = np.random.default_rng(0).integers(0, 256, (20, 112, 112, 3), np.uint8)


def embedder(file, *, contract=EMBEDDER, **options):
    return Embedder(open_session(file, EngineOptions(threads=2)), contract, **options)


def toy_by_hand(crops, *, seed=0):
    """What toy_embedder computes: the mean of each 16 x 16 square, times its matrix."""
    matrix = np.random.default_rng(seed).normal(size=(147, 8)).astype(np.float32)
    pixels = (crops.astype(np.float64) - 127.5) / 127.5
    coarse = pixels.reshape(-1, 7, 16, 7, 16, 3).mean(axis=(2, 4)).transpose(0, 3, 1, 2)
    return coarse.reshape(-1, 147) @ matrix


def counting(run, sizes):
    """The same function, which notes how many crops it is shown."""

    def noted(pixels):
        sizes.append(len(pixels))
        return run(pixels)

    return noted


def counted(session):
    """Count the calls of a session, and the crops of each."""
    sizes = []
    for name in ("run", "run_beside"):
        setattr(session, name, counting(getattr(session, name), sizes))
    return sizes


def test_embeddings_are_what_the_network_gives_not_normalized(embedder_file):
    got = embedder(embedder_file).embed(CROPS)
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, toy_by_hand(CROPS), atol=1e-5)


@pytest.mark.parametrize("size", [1, 3, 8, 64])
def test_every_batch_size_gives_the_same_rows(size, embedder_file):
    got = embedder(embedder_file, batch_size=size).embed(CROPS)
    np.testing.assert_allclose(got, toy_by_hand(CROPS), atol=1e-5)


@pytest.mark.parametrize("size", [1, 3, 8, 64])
def test_crops_are_run_in_full_batches(size, embedder_file):
    found = embedder(embedder_file, batch_size=size)
    sizes = counted(found.session)
    found.embed(CROPS)
    assert sorted(sizes, reverse=True) == [min(size, 20 - n) for n in range(0, 20, size)]


def test_a_fixed_batch_of_1_gives_the_same_rows_crop_by_crop(embedder_file, tmp_path):
    one = embedder(toy_embedder(tmp_path / "one.onnx", batch=1))
    sizes = counted(one.session)
    np.testing.assert_allclose(one.embed(CROPS), embedder(embedder_file).embed(CROPS), atol=1e-5)
    assert sizes == [1] * 20
    assert one.batch_size == 1


def test_a_fixed_batch_of_4_is_filled_up_and_cut_off(embedder_file, tmp_path):
    file = toy_embedder(tmp_path / "four.onnx")
    model = onnx.load(file)
    for value in (model.graph.input[0], model.graph.output[0]):
        value.type.tensor_type.shape.dim[0].dim_value = 4
    onnx.save(model, file)
    four = embedder(file)
    sizes = counted(four.session)
    np.testing.assert_allclose(four.embed(CROPS[:6]), toy_by_hand(CROPS[:6]), atol=1e-5)
    assert sizes == [4, 4]


def test_flip_is_the_mean_of_the_crop_and_its_mirror_image(embedder_file):
    got = embedder(embedder_file, flip=True).embed(CROPS)
    expected = (toy_by_hand(CROPS) + toy_by_hand(CROPS[:, :, ::-1])) / 2
    np.testing.assert_allclose(got, expected, atol=1e-5)


def test_no_crops_give_no_rows(embedder_file):
    assert embedder(embedder_file).embed(CROPS[:0]).shape == (0, 8)


def test_the_contract_decides_the_pixels(embedder_file):
    contract = Contract(
        kind="embedder", format="embedding", dimension=8, color="bgr", mean=(0, 0, 0),
        std=(1, 1, 1),
    )  # fmt: skip
    got = embedder(embedder_file, contract=contract).embed(CROPS[:2])
    raw = CROPS[:2, :, :, ::-1].astype(np.float64) * 127.5 + 127.5  # undone by toy_by_hand
    np.testing.assert_allclose(got, toy_by_hand(raw), rtol=1e-4)


@pytest.mark.slow
@pytest.mark.onnx
def test_the_default_recognizer_gives_the_same_rows_in_every_batch(default_pair):
    file = zoo.find(default_pair[1])
    found = [
        Embedder(*zoo.open_model(file, EngineOptions(), kind="embedder"), batch_size=size)
        for size in (1, 3, 8)
    ]
    expected = found[0].embed(CROPS[:8])
    scale = np.abs(expected).max()
    for other in found[1:]:
        np.testing.assert_allclose(other.embed(CROPS[:8]), expected, atol=1e-5 * scale)


# --- refusals -----------------------------------------------------------------------------


def test_a_model_that_gives_nan_is_refused_with_the_count(tmp_path):
    sick = embedder(toy_embedder(tmp_path / "sick.onnx", nan=True))
    words = r"model sick gave NaN or infinity for 3 of 3 crops; .* this precision \(float32\)"
    with pytest.raises(BadModel, match=words):
        sick.embed(CROPS[:3])


@pytest.mark.parametrize(
    "crops",
    [
        CROPS[:, :96],
        CROPS[..., :1],
        CROPS[0],
        CROPS.astype(np.float32),
        CROPS.astype(np.int16),
    ],
    ids=["height", "channels", "one crop", "float32", "int16"],
)
def test_crops_of_another_size_or_dtype_are_refused(crops, embedder_file):
    for embed in (embedder(embedder_file).embed, embedder(embedder_file).embed_beside):
        with pytest.raises(BadArray, match=r"crops must be uint8 of shape \(N, 112, 112, 3\); got"):
            embed(crops)


def test_a_model_that_melts_a_batch_into_one_row_is_refused(tmp_path):
    """A Reshape to (1, -1) is right for single crops alone; exports with it are in use."""
    file = toy_embedder(tmp_path / "melts.onnx")
    model = onnx.load(file)
    model.graph.node[-1].output[0] = "rows"
    model.graph.node.append(helper.make_node("Reshape", ["rows", "one_row"], ["embedding"]))
    model.graph.initializer.append(numpy_helper.from_array(np.array([1, -1]), "one_row"))
    onnx.save(model, file)
    np.testing.assert_allclose(
        embedder(file, batch_size=1).embed(CROPS[:2]), toy_by_hand(CROPS[:2]), atol=1e-5
    )
    words = r"model melts gave \(1, 24\) for 3 crops; \(3, 8\) was promised.*a free batch axis"
    with pytest.raises(BadModel, match=words):
        embedder(file).embed(CROPS[:3])


def test_a_batch_size_of_0_is_refused(embedder_file):
    with pytest.raises(BadArray, match="batch size must be at least 1; got 0"):
        embedder(embedder_file, batch_size=0)


def test_a_model_that_breaks_its_contract_is_refused(detector_file):
    with pytest.raises(BadModel, match="its contract says one embedding of 8 numbers"):
        embedder(detector_file)
