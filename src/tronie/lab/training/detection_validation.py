"""What a detector is judged by while it learns: average precision by the rules of WIDER FACE.

    detect_photos   a network and encoded photographs  ->  boxes and scores of each
    judge           the same, judged against a ground truth  ->  Report
    truth_of        labels of a training set  ->  a ground truth with the one subset "all"

Photographs are laid on the canvas, and faces are brought back and suppressed, by the functions of
`tronie.runtime.canvas` that `tronie detect` goes through; one look, no close-up. What is found is
what the exported file finds.

On a CPU the network is not run by torch: it is exported, and onnxruntime looks at one photograph
at a time, a thread each. On one core scrfd-0.5g takes 12 ms so, against 26 ms to 75 ms in torch,
and 0.4 s for the export. Elsewhere torch runs whole batches.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import islice
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from tronie.catalog import load
from tronie.data.augment.face_photo import FaceLabels
from tronie.data.readers.widerface import SUBSETS, Detected, WiderPhoto, WiderTruth
from tronie.errors import BadInput
from tronie.evaluation.protocols import widerface
from tronie.evaluation.report import Report
from tronie.evaluation.run_widerface import NMS_THRESHOLD, SCORE_THRESHOLD
from tronie.geometry.faces import Faces
from tronie.images.io import decode_image, image_size
from tronie.lab.nn.detector import Detector
from tronie.lab.training.export_detector import detector_onnx
from tronie.provenance import Provenance
from tronie.runtime.canvas import (
    Laid,
    brought_back,
    expect_finite,
    expect_side,
    fitted,
    suppressed,
)
from tronie.runtime.contract import DETECTOR_FORMATS, Contract
from tronie.runtime.graph import parse_graph
from tronie.runtime.session import EngineOptions, session_of

CANDIDATES = 5000
"""Of one photograph, the most that are compared with each other: a network that has learned
little answers everywhere."""
LONG_SIDE = 640
"""Faces are measured as if the longer side of their photograph had this many pixels."""
LEAST_SIDE = 8.0

Answer = Callable[[Sequence[Laid]], list[list[NDArray[Any]]]]
"""Canvases to boxes (1, A, 4) and scores (1, A) of each, in pixels of the canvas."""


class LabeledFaces(Protocol):
    """Photographs with labels: what `truth_of` needs of a source."""

    def __len__(self) -> int: ...

    def name_of(self, n: int, /) -> str: ...

    def read(self, n: int, /) -> bytes: ...

    def faces(self, n: int, /) -> FaceLabels: ...


def detect_photos(
    network: Detector,
    photos: Iterable[tuple[str, bytes]],
    *,
    size: int = 640,
    score_threshold: float = SCORE_THRESHOLD,
    nms_threshold: float = NMS_THRESHOLD,
    device: torch.device | str = "cpu",
    batch: int = 8,
    contract: Contract | None = None,
) -> dict[str, Detected]:
    """What the network finds in each photograph, in pixels of the photograph.

    Args:
        network: In any mode and on any device; it is copied, and stays as it is.
        photos: Names and encoded pictures; read as they are needed, `batch` at a time.
        size: Side of the canvas in pixels, a multiple of 32.
        score_threshold: Least confidence, in [0, 1].
        nms_threshold: Boxes that overlap a better one by more IoU than this go.
        device: Where the network runs.
        batch: Photographs that are worked on together.
        contract: How pixels become numbers; None: that of decoded files, as in export.

    Raises:
        BadImage: a photograph that cannot be read.
        BadModel: the network gives NaN or infinity.
        BadArray: a size that no detector takes.
        BadInput: a name twice, or a batch below 1.
    """
    expect_side(size)
    if batch < 1:
        raise BadInput(f"photographs are judged in batches of at least 1; got {batch}")
    pixels: Contract = contract or load(DETECTOR_FORMATS, "decoded", "CONTRACT")
    decode = load(DETECTOR_FORMATS, "decoded", "decode")

    def lay(photo: tuple[str, bytes]) -> Laid:
        return fitted(decode_image(photo[1], name=photo[0]), pixels, width=size, height=size)

    def faces(laid: Laid, outputs: list[NDArray[Any]]) -> Detected:
        expect_finite("the network", outputs, why="its training diverged")
        on_canvas: Faces = decode(
            outputs, width=laid.width, height=laid.height, score_threshold=score_threshold
        )
        kept = suppressed(
            brought_back(on_canvas, laid),
            iou_threshold=nms_threshold,
            pixel_offset=pixels.nms_pixel_offset,
            candidates=CANDIDATES,
        )
        return Detected(kept.boxes.astype(np.float64), kept.scores.astype(np.float64))

    found: dict[str, Detected] = {}
    threads = torch.get_num_threads()
    with ThreadPoolExecutor(threads, thread_name_prefix="judge") as pool:
        where = torch.device(device)
        answer = (
            _by_file(network, pool, threads) if where.type == "cpu" else _by_torch(network, where)
        )
        for together in _batches(photos, batch):
            names = [name for name, _ in together]
            if twice := [n for n in names if n in found or names.count(n) > 1]:
                raise BadInput(f"a photograph is given twice: {twice[0]}")
            laid = list(pool.map(lay, together))
            found |= zip(names, pool.map(faces, laid, answer(laid)), strict=True)
    return found


def judge(
    network: Detector,
    *,
    truth: WiderTruth,
    photos: Iterable[tuple[str, bytes]],
    size: int = 640,
    device: torch.device | str = "cpu",
    contract: Contract | None = None,
    provenance: Provenance | None = None,
) -> Report:
    """The average precision of a network on photographs of a ground truth.

    Args:
        network: As for `detect_photos`.
        truth: Of the official files (`read_truth`), or of labels (`truth_of`).
        photos: Names as in `truth`, and encoded pictures whose pixels the truth is in. The
            photographs that are given are judged, no others.
        size: Side of the canvas in pixels, a multiple of 32.
        device: Where the network runs.
        contract: As for `detect_photos`.
        provenance: Of the ground truth, for the Report.

    Returns:
        A Report with one value for each subset of the truth: "easy", "medium" and "hard", or
        "all".

    Raises:
        NotFound: a photograph that `truth` does not have.
        NotEnoughData: no face counts in the photographs.
        As `detect_photos`.
    """
    found = detect_photos(network, photos, size=size, device=device, contract=contract)
    return report_of(found, truth=truth, size=size, provenance=provenance)


def report_of(
    found: Mapping[str, Detected],
    *,
    truth: WiderTruth,
    size: int,
    provenance: Provenance | None = None,
) -> Report:
    """What `judge` says of what was found, by whomever: processes may share the photographs.

    Args:
        found: By `detect_photos`; these photographs are judged, no others.
        truth: Their faces.
        size: Side of the canvas that they were laid on.
        provenance: Of the ground truth.

    Raises:
        NotFound: a photograph that `truth` does not have.
        NotEnoughData: no face counts in the photographs.
    """
    report = widerface.PROTOCOL.score(truth, found, names=found.keys(), provenance=provenance)
    note = (
        f"canvas of {size} x {size}, one look; scores from {SCORE_THRESHOLD}, suppressed above "
        f"an IoU of {NMS_THRESHOLD} among at most {CANDIDATES} a photograph"
    )
    official = set(SUBSETS) >= report.values.keys() - {"photographs", "detections"}
    return replace(
        report,
        name=report.name if official else "labeled-faces",
        notes=(*report.notes, note),
    )


def truth_of(source: LabeledFaces, *, least_side: float = LEAST_SIDE) -> dict[str, WiderPhoto]:
    """Labels as a ground truth with the one subset "all".

    A face counts whose longer side has `least_side` pixels where the longer side of its
    photograph has 640. Smaller ones, those without area and those labeled to be ignored are
    ignored: neither right nor wrong.

    Raises:
        BadImage: a photograph whose size cannot be read.
        BadInput: `least_side` is below 0, or a name twice.
    """
    if not least_side >= 0:
        raise BadInput(f"the least side of a face that counts is 0 or more; got {least_side:g}")
    truth: dict[str, WiderPhoto] = {}
    for n in range(len(source)):
        name, labels = source.name_of(n), source.faces(n)
        if name in truth:
            raise BadInput(f"{name} is labeled twice")
        boxes = labels.boxes.astype(np.float64)
        sides = boxes[:, 2:] - boxes[:, :2]
        scale = LONG_SIDE / max(image_size(source.read(n), name=name))
        large = sides.max(axis=1, initial=0.0) * scale >= least_side
        counts = large & (sides > 0).all(axis=1) & ~labels.ignore
        truth[name] = WiderPhoto(boxes, {"all": counts})
    return truth


def _by_file(network: Detector, pool: ThreadPoolExecutor, threads: int) -> Answer:
    """Exported, and run by onnxruntime on the CPU, a canvas a thread."""
    own = copy.deepcopy(network).cpu().float().eval()
    graph = parse_graph(detector_onnx(own), name="the network")
    options = EngineOptions(threads=threads, precision="stored")
    session = session_of(graph, options, name="the network")
    return lambda laid: list(pool.map(lambda one: session.run_beside(one.pixels)[:2], laid))


def _by_torch(network: Detector, device: torch.device) -> Answer:
    """Run by torch on its device, all canvases at once."""
    own = copy.deepcopy(network).to(device).float().eval()

    def answer(laid: Sequence[Laid]) -> list[list[NDArray[Any]]]:
        pixels = torch.from_numpy(np.concatenate([one.pixels for one in laid])).to(
            device, memory_format=torch.channels_last
        )
        with torch.no_grad():
            boxes, scores, _ = own.decode(own(pixels))
        answers = zip(boxes.cpu().numpy(), scores.cpu().numpy(), strict=True)
        return [[box[None], score[None]] for box, score in answers]

    return answer


def _batches(photos: Iterable[tuple[str, bytes]], size: int) -> Iterator[list[tuple[str, bytes]]]:
    left = iter(photos)
    while together := list(islice(left, size)):
        yield together
