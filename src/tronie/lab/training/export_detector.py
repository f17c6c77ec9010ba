"""A detector of torch to an ONNX file, and proof that both find the same faces.

    decoded     `pictures` (N, 3, H, W) to `boxes` (N, A, 4) x1 y1 x2 y2 in pixels, `scores` (N, A)
                in [0, 1] and, where it knows points, `landmarks` (N, A, 10): nothing is left to
                decode
    published   the outputs that files of this network are published with, for programs that read
                those; of SCRFD `input.1` to score_8, score_16, score_32, bbox_8, ... kps_32
    contract    what the file takes, in a file of the same name ending in .toml

Batch, height and width are free in both; norms behind a convolution are folded into it.

The proof runs random pictures of several sizes, one alone and two together, through torch, through
onnxruntime as the file is, and through the reader of runtime/detectors that `tronie detect` takes;
the largest differences are kept. Neither file takes its name before the proof holds.

What is traced is the network as `Detector.decoded` rewrites it to run fast; what it is proven by is
`decode` of `forward`.

Differs from the authors' exporter: a batch axis in every output, sizes that are free without being
multiples of 32, and one file for both uses of the batch.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tronie.catalog import load
from tronie.errors import BadInput, BadModel
from tronie.lab.nn.detector import Detector
from tronie.lab.nn.layers.deformable import as_one_operator
from tronie.lab.training.onnx_file import (
    OPSET,
    contract_toml,
    file_bytes,
    traced_graph,
    write_whole,
)
from tronie.runtime.contract import DETECTOR_FORMATS, Contract
from tronie.runtime.graph import parse_graph
from tronie.runtime.session import EngineOptions, session_of

Layout = Literal["decoded", "published"]
INPUTS: dict[Layout, str] = {"decoded": "pictures", "published": "input.1"}
SIZES = ((1, 64, 96), (2, 96, 64), (1, 33, 47))
"""Pictures of the proof: how many together, their height and their width."""
TOLERANCE = 1e-4
"""Largest difference allowed, as a part of the largest number, or absolute where that is below 1:
float32 sums of a deep network, done in another order."""


@dataclass(frozen=True, kw_only=True)
class DetectorProof:
    """What was written, and how far the file is from the network it was made of."""

    layout: Layout
    pictures: int
    anchors: int
    """Anchors compared, over all pictures."""
    max_difference: float
    """Between torch and onnxruntime: scores, and coordinates in pixels."""
    max_difference_reader: float
    """Between torch and the faces that tronie's runtime reads from the file's outputs."""
    largest: float
    """The largest number among them, which the differences are to be seen beside."""
    size_bytes: int


def export_detector(
    detector: Detector,
    path: str | Path,
    *,
    layout: Layout = "decoded",
    contract: Contract | None = None,
    opset: int = OPSET,
    threads: int | None = None,
    seed: int = 0,
) -> DetectorProof:
    """Write `detector` to `path` and its contract beside it, once both are proven to agree.

    Args:
        detector: Copied; exported in evaluation, float32.
        path: Ends in .onnx.
        layout: "decoded", or "published" where the network has such a layout.
        contract: What the pixels are, and the canvas; None: that of the format, with pixels as
            the lab's training has them: RGB, (pixel - 127.5) / 128.
        threads: Cores for the proof; None: all of this process.
        seed: Of the random pictures.

    Raises:
        BadInput: another ending, or a layout or contract that this network does not have.
        BadModel: the network gives NaN or infinity, or file and network do not agree.
    """
    file = Path(path)
    if file.suffix != ".onnx":
        raise BadInput(f"a model is exported to a file that ends in .onnx; got {file}")
    stated = _contract(detector, layout, contract)
    network = copy.deepcopy(detector).cpu().float().eval()
    data = detector_onnx(network, layout=layout, opset=opset)
    proof = _prove(network, data, stated, layout=layout, name=file.stem, threads=threads, seed=seed)
    write_whole(file.with_suffix(".toml"), contract_toml(stated).encode("utf-8"))
    write_whole(file, data)
    return proof


def detector_onnx(network: Detector, *, layout: Layout = "decoded", opset: int = OPSET) -> bytes:
    """The file of a network that is on the CPU and in evaluation; nothing is proven or written.

    Raises:
        BadInput: the network has no such layout.
    """
    answers = _answers(network, layout, traced=True)
    with torch.no_grad():
        last = {name: v.shape[2:] for name, v in answers.named(torch.zeros(1, 3, 32, 32)).items()}
    free = {INPUTS[layout]: {0: "batch", 2: "height", 3: "width"}}
    free |= {name: {0: "batch", 1: f"{name}_anchors"} for name in last}
    with as_one_operator(opset):
        model = traced_graph(
            answers,
            torch.zeros(2, 3, 64, 96),
            name=INPUTS[layout],
            outputs=list(last),
            free=free,
            opset=opset,
        )
    for output in model.graph.output:  # what the exporter loses sight of, and readers go by
        for axis, size in zip(
            output.type.tensor_type.shape.dim[2:], last[output.name], strict=True
        ):
            axis.dim_value = size
    return file_bytes(model)


class _Decoded(nn.Module):
    """Pictures to boxes, scores and landmarks as runtime/detectors/decoded.py takes them."""

    def __init__(self, decoded: nn.Module) -> None:
        super().__init__()
        self.decoded = decoded

    def named(self, pictures: Tensor) -> dict[str, Tensor]:
        boxes, scores, points = self.decoded(pictures)
        named = {"boxes": boxes, "scores": scores}
        return named if points is None else {**named, "landmarks": points}

    def forward(self, pictures: Tensor) -> tuple[Tensor, ...]:
        return tuple(self.named(pictures).values())


class _Published(nn.Module):
    """Pictures to the outputs that this network's files are published with."""

    def __init__(self, detector: Detector) -> None:
        super().__init__()
        self.detector = detector

    def named(self, pictures: Tensor) -> dict[str, Tensor]:
        return dict(self.detector.published(self.detector(pictures)))

    def forward(self, pictures: Tensor) -> tuple[Tensor, ...]:
        return tuple(self.named(pictures).values())


def _answers(network: Detector, layout: Layout, *, traced: bool = False) -> _Decoded | _Published:
    """In evaluation, as `network` is: the exporter leaves all parts as it finds the whole.

    What is traced is the form of the network that runs fastest; what it is proven by is not.
    """
    if layout == "published":
        return _Published(network).eval()
    return _Decoded(network.decoded() if traced else Detector.decoded(network)).eval()


def _contract(detector: Detector, layout: Layout, asked: Contract | None) -> Contract:
    format_ = "decoded" if layout == "decoded" else detector.published_format
    if format_ is None:
        raise BadInput(
            f"{type(detector).__name__} has no published layout of outputs; export it decoded"
        )
    if asked is None:
        stated: Contract = load(DETECTOR_FORMATS, format_, "CONTRACT")
        learned: Contract = load(DETECTOR_FORMATS, "decoded", "CONTRACT")
        return replace(stated, color=learned.color, mean=learned.mean, std=learned.std)
    if (asked.kind, asked.format) != ("detector", format_):
        raise BadInput(
            f"the contract of this export must be of a detector of the {format_} format; "
            f"got {asked.kind} and {asked.format}"
        )
    return asked


def _prove(
    network: Detector,
    data: bytes,
    contract: Contract,
    *,
    layout: Layout,
    name: str,
    threads: int | None,
    seed: int,
) -> DetectorProof:
    options = EngineOptions(threads=threads, precision="stored")
    session = session_of(parse_graph(data, name=name), options, name=name)
    answers = _answers(network, layout)
    draw = np.random.default_rng(seed)
    stored, read, largest, anchors = 0.0, 0.0, 0.0, 0
    for count, height, width in SIZES:
        pictures = draw.uniform(-1, 1, (count, 3, height, width)).astype(np.float32)
        with torch.no_grad():
            inputs = torch.from_numpy(pictures)
            wanted = [each.numpy() for each in answers(inputs)]
            faces = _Decoded(Detector.decoded(network)).named(inputs)
        if not all(np.isfinite(each).all() for each in wanted):
            raise BadModel(
                f"the network gives NaN or infinity for {name}, and is not exported; its training "
                "diverged, or it is fresh and has seen no pictures"
            )
        given = session.run(pictures)
        decoded = {key: value.numpy() for key, value in faces.items()}
        largest = max([largest, *map(_largest, wanted), *map(_largest, decoded.values())])
        stored = max([stored, *(_apart(*pair) for pair in zip(given, wanted, strict=True))])
        read = max(read, _reader_apart(given, decoded, contract, height=height, width=width))
        anchors += decoded["scores"].size
    worst = max(stored, read)
    if not worst <= TOLERANCE * max(1.0, largest):
        raise BadModel(
            f"the exported {name} differs from its network by {worst:.2g}, of numbers up to "
            f"{largest:.2g}; at most {TOLERANCE:g} of that is allowed. Nothing was written"
        )
    return DetectorProof(
        layout=layout,
        pictures=sum(count for count, _, _ in SIZES),
        anchors=anchors,
        max_difference=stored,
        max_difference_reader=read,
        largest=largest,
        size_bytes=len(data),
    )


def _reader_apart(
    given: Sequence[NDArray[Any]],
    wanted: dict[str, NDArray[Any]],
    contract: Contract,
    *,
    height: int,
    width: int,
) -> float:
    """How far the faces that the runtime reads, picture by picture, are from those of torch."""
    decode = load(DETECTOR_FORMATS, contract.format, "decode")
    worst = 0.0
    for n, scores in enumerate(wanted["scores"]):
        one = [output[n : n + 1] for output in given]
        faces = decode(one, width=width, height=height, score_threshold=0.0)
        worst = max(worst, _apart(faces.scores, scores), _apart(faces.boxes, wanted["boxes"][n]))
        if "landmarks" in wanted:
            points = wanted["landmarks"][n].reshape(-1, 5, 2)
            worst = max(worst, _apart(faces.landmarks, points))
    return worst


def _apart(one: NDArray[Any], other: NDArray[Any]) -> float:
    """The largest difference; infinite where the shapes differ."""
    return _largest(one - other) if one.shape == other.shape else float("inf")


def _largest(numbers: NDArray[Any]) -> float:
    return float(np.abs(numbers).max(initial=0.0))
