"""Faces that are drawn and models that are made up: seeded, small, and nobody's likeness.

toy_face(person, shot=0)        (160, 160, 3) uint8 RGB, one drawn face at a known place
write_people(folder, people)    one folder a person, as `enroll` reads it
toy_detector(path)              an ONNX file that finds the same faces in every picture
toy_embedder(path)              an ONNX file whose embeddings differ where crops differ
toy_constants(path, outputs)    an ONNX file that gives the same arrays for every picture
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from PIL import Image, ImageDraw

SIDE = 160
FIVE_POINTS = ((58.0, 66.0), (102.0, 66.0), (80.0, 92.0), (62.0, 114.0), (98.0, 114.0))
"""Where toy_face draws eyes, nose and the corners of the mouth, x y in pixels."""
BOX = (38.0, 28.0, 122.0, 136.0)
"""The drawn head, x1 y1 x2 y2 in pixels."""


def toy_face(person: int, *, shot: int = 0) -> NDArray[np.uint8]:
    """A drawn face, (160, 160, 3) uint8 RGB.

    `person` decides colors, hair and mouth; `shot` the light and the noise. The five points lie
    at FIVE_POINTS in every picture.
    """
    looks = np.random.default_rng(1000 + person)
    skin, hair, eyes, background = (tuple(map(int, looks.integers(30, 226, 3))) for _ in range(4))
    picture = Image.new("RGB", (SIDE, SIDE), background)
    draw = ImageDraw.Draw(picture)
    x1, y1, x2, y2 = BOX
    draw.ellipse((x1, y1, x2, y2), fill=skin)
    draw.chord((x1, y1, x2, y2), 180 + int(looks.integers(0, 25)), 360, fill=hair)
    left, right, nose, mouth_left, mouth_right = FIVE_POINTS
    radius = float(looks.uniform(4, 9))
    for x, y in (left, right):
        draw.ellipse((x - 10, y - 6, x + 10, y + 6), fill=(250, 250, 250))
        draw.ellipse((x - radius / 2, y - 5, x + radius / 2, y + 5), fill=eyes)
    draw.line((nose[0], nose[1] - 20, *nose), fill=hair, width=2)
    droop = float(looks.uniform(-8, 12))
    middle = (80.0, mouth_left[1] + droop)
    draw.line((*mouth_left, *middle, *mouth_right), fill=(150, 40, 40), width=4)
    light = np.random.default_rng([person, shot])
    noisy = np.asarray(picture, np.float64) * light.uniform(0.95, 1.05)
    noisy += light.normal(0, 3, noisy.shape)
    return np.clip(noisy, 0, 255).astype(np.uint8)


def write_people(folder: str | Path, *, people: int = 3, shots: int = 2) -> list[Path]:
    """PNG files `folder/person_0/person_0_0001.png` ...; returns their paths, sorted."""
    paths = []
    for person in range(people):
        name = f"person_{person}"
        home = Path(folder) / name
        home.mkdir(parents=True, exist_ok=True)
        for shot in range(shots):
            path = home / f"{name}_{shot + 1:04d}.png"
            Image.fromarray(toy_face(person, shot=shot)).save(path)
            paths.append(path)
    return paths


def toy_detector(path: str | Path, *, scores: Sequence[float] = (0.9,), step: float = 0.0) -> Path:
    """An ONNX file in the decoded form that answers with the same faces for every picture.

    Input `image` (N, 3, H, W) float32; outputs `boxes` (N, K, 4), `scores` (N, K) and
    `landmarks` (N, K, 10), pixels of the input. K is len(scores): face k is the drawn one of
    toy_face, moved by k * step to the right. No scores, no face.
    """
    moved = np.arange(len(scores), dtype=np.float32)[:, None] * np.float32(step)
    boxes = np.array(BOX, np.float32) + moved * np.array([1, 0, 1, 0], np.float32)
    points = np.array(FIVE_POINTS, np.float32).reshape(10) + moved * np.tile([1, 0], 5)
    constants = {
        "boxes": boxes.astype(np.float32)[None],
        "scores": np.array(scores, np.float32)[None],
        "landmarks": points.astype(np.float32)[None],
    }
    nodes = [
        helper.make_node("Shape", ["image"], ["shape"]),
        helper.make_node("Slice", ["shape", "zero", "one"], ["images"]),
    ]
    initializers = {"zero": np.array([0], np.int64), "one": np.array([1], np.int64)}
    outputs = []
    for name, value in constants.items():
        tail = np.array(value.shape[1:], np.int64)
        initializers |= {f"{name}_of_one": value, f"{name}_tail": tail}
        nodes += [
            helper.make_node("Concat", ["images", f"{name}_tail"], [f"{name}_shape"], axis=0),
            helper.make_node("Expand", [f"{name}_of_one", f"{name}_shape"], [name]),
        ]
        outputs.append(
            helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", *value.shape[1:]])
        )
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["N", 3, "H", "W"])
    return _save(path, nodes, [image], outputs, initializers)


def toy_embedder(
    path: str | Path,
    *,
    dimension: int = 8,
    batch: Literal["dynamic", 1] = "dynamic",
    nan: bool = False,
    seed: int = 0,
) -> Path:
    """An ONNX file that embeds crops: a coarse 7x7 mean of the crop, times a fixed matrix.

    Input `input.1` (N, 3, 112, 112) float32; output `embedding` (N, dimension). With `nan`
    every number of the answer is NaN. Another `seed` is another model.
    """
    weights = np.random.default_rng(seed).normal(size=(147, dimension)).astype(np.float32)
    bias = np.full(dimension, np.nan if nan else 0.0, np.float32)
    nodes = [
        helper.make_node(
            "AveragePool", ["input.1"], ["coarse"], kernel_shape=[16, 16], strides=[16, 16]
        ),
        helper.make_node("Flatten", ["coarse"], ["flat"], axis=1),
        helper.make_node("Gemm", ["flat", "weights", "bias"], ["embedding"]),
    ]
    rows = "N" if batch == "dynamic" else batch
    crops = helper.make_tensor_value_info("input.1", TensorProto.FLOAT, [rows, 3, 112, 112])
    answer = helper.make_tensor_value_info("embedding", TensorProto.FLOAT, [rows, dimension])
    return _save(path, nodes, [crops], [answer], {"weights": weights, "bias": bias})


def toy_constants(
    path: str | Path,
    outputs: Mapping[str, NDArray[np.floating]],
    *,
    shape: Sequence[int | str] = ("N", 3, "H", "W"),
) -> Path:
    """An ONNX file that gives `outputs`, in that order, whatever it is shown.

    Input `image` of `shape`, float32. Any detector's heads can be written down this way.
    """
    nodes = [
        helper.make_node("ReduceMin", ["image"], ["least"], keepdims=0),
        helper.make_node("Mul", ["least", "nought"], ["nothing"]),
    ]
    initializers: dict[str, NDArray[np.generic]] = {"nought": np.zeros((), np.float32)}
    infos = []
    for name, value in outputs.items():
        initializers[f"{name}_stored"] = value.astype(np.float32)
        nodes.append(helper.make_node("Add", [f"{name}_stored", "nothing"], [name]))
        infos.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, value.shape))
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, shape)
    return _save(path, nodes, [image], infos, initializers)


def _save(
    path: str | Path,
    nodes: list[onnx.NodeProto],
    inputs: list[onnx.ValueInfoProto],
    outputs: list[onnx.ValueInfoProto],
    initializers: dict[str, NDArray[np.generic]],
) -> Path:
    tensors = [numpy_helper.from_array(value, name) for name, value in initializers.items()]
    graph = helper.make_graph(nodes, "toy", inputs, outputs, initializer=tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.checker.check_model(model)
    onnx.save(model, str(path))
    return Path(path)
