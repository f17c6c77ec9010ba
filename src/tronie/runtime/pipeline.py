"""Many images in, Faces out: detect, choose, align, embed.

All faces of all images are embedded in full batches. Images are detected side by side, one
thread each; their aligned crops wait until a batch is full, whatever image they came from.
Memory holds a few images a thread at a time, so a folder of any length can be streamed.

    policy    all       every face
              largest   the face with the largest box
              center    the face whose middle is nearest the middle of the image
    gate      faces that are too small, turned too far or too weakly embedded are left out,
              each with a sentence in `Faces.notes`

Thread safety: an analyzer may be shared by threads; results equal a serial run.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from tronie.errors import BadInput, BadModel, TronieError
from tronie.geometry.boxes import area
from tronie.geometry.faces import Faces
from tronie.geometry.rotation import pose_from_five_points
from tronie.images.io import read_image
from tronie.images.warp import aligned_crops
from tronie.runtime import zoo
from tronie.runtime.calibration import Calibration
from tronie.runtime.contract import embedding_contract_id
from tronie.runtime.detector import Detector
from tronie.runtime.embedder import BATCH_SIZE, Embedder
from tronie.runtime.session import EngineOptions

POLICIES = ("all", "largest", "center")
DEFAULT_DETECTOR = "yunet-2023mar"
DEFAULT_MODEL = "sface-2021dec"

Source = str | Path | bytes | BinaryIO | NDArray[np.uint8]
Crops = NDArray[np.uint8]
Size = int | tuple[int, int]


@dataclass(frozen=True, kw_only=True)
class QualityGate:
    """Which faces are good enough to be compared. The default lets everything pass."""

    min_size_px: float = 0.0
    """Shorter side of the box in image pixels."""
    max_yaw_rad: float = math.pi
    """Turn to either side, from the five points; frontal is 0."""
    max_pitch_rad: float = math.pi
    """Nod up or down, from the five points."""
    min_norm: float = 0.0
    """Length of the raw embedding; what it means depends on the model."""


class FaceAnalyzer:
    """Detector, alignment and recognizer as one callable thing.

    Args:
        detector: A zoo name or the path of an .onnx file.
        model: The recognizer, a zoo name or a path; None finds faces and embeds nothing.
        options: Engine, device, threads and precision of both models.
        policy: Which faces of an image are kept: all, largest, center.
        gate: Which faces are good enough.
        flip: Average the embeddings of a crop and of its mirror image.
        canvas: Side of the detector's canvas in pixels, where the model leaves it free.
        score_threshold: Least detector confidence, in [0, 1]; default: the contract's.
        batch_size: Crops a call and thread.

    Raises:
        TronieError: a model that cannot be found, opened, or does not keep its contract.
    """

    def __init__(
        self,
        detector: str | Path = DEFAULT_DETECTOR,
        model: str | Path | None = DEFAULT_MODEL,
        *,
        options: EngineOptions | None = None,
        policy: str = "all",
        gate: QualityGate | None = None,
        flip: bool = False,
        canvas: int | None = None,
        score_threshold: float | None = None,
        batch_size: int = BATCH_SIZE,
    ) -> None:
        if policy not in POLICIES:
            raise BadInput(f"no face policy {policy!r}; there is {', '.join(POLICIES)}")
        self.policy = policy
        self.gate = gate or QualityGate()
        chosen = options or EngineOptions()
        detector_file = zoo.find(detector)
        session, contract = zoo.open_model(detector_file, chosen, kind="detector")
        self.detector = Detector(session, contract, canvas=canvas, score_threshold=score_threshold)
        self.threads = session.threads
        """Images worked on side by side."""
        self.detector_name, self.model_name = detector_file.name, ""
        self.detector_sha256, self.model_sha256 = detector_file.sha256, ""
        self.assumed = contract.assumed
        self.contract_id = ""
        self.calibration: Calibration | None = None
        self._embedder: Embedder | None = None
        if model is None:
            return
        model_file = zoo.find(model)
        session, contract = zoo.open_model(model_file, chosen, kind="embedder")
        self._embedder = Embedder(session, contract, flip=flip, batch_size=batch_size)
        self.model_name, self.model_sha256 = model_file.name, model_file.sha256
        self.assumed += contract.assumed
        self.calibration = zoo.calibration_of(model_file)
        self.contract_id = embedding_contract_id(
            contract,
            model_file.sha256,
            detector=self.detector.contract,
            detector_sha256=detector_file.sha256,
            canvas=(self.detector.width, self.detector.height),
            flip=flip,
        )

    @property
    def embedder(self) -> Embedder:
        """The recognizer.

        Raises:
            BadInput: the analyzer was made without one.
        """
        if self._embedder is None:
            raise BadInput(
                "this analyzer was made with model=None and embeds nothing; name a model"
            )
        return self._embedder

    def analyze(self, image: Source) -> Faces:
        """The faces of one image, with embeddings (N, D) float32, not normalized.

        Args:
            image: A path, the bytes of a picture file, or an array (H, W, 3) uint8 RGB.

        Raises:
            NotFound, BadImage: no such file, or no picture that can be read.
            BadModel: a model that gave NaN, or a detector without landmarks.
        """
        outcome, crops = self._detect_one(image, self.detector.detect, self._crop_size())
        if isinstance(outcome, TronieError):
            raise outcome
        if self._embedder is None:
            return outcome
        return self._with_embeddings(outcome, self._embedder.embed(crops))

    def analyze_many(self, images: Sequence[Source]) -> list[Faces]:
        """The faces of each image, in order; see `analyze`.

        Raises:
            TronieError: the first image that cannot be read, as `analyze` would raise it.
        """
        results = []
        for outcome in self.stream(images):
            if isinstance(outcome, TronieError):
                raise outcome
            results.append(outcome)
        return results

    def aligned(
        self, images: Iterable[Source], *, size: int | None = None
    ) -> Iterator[tuple[Faces | TronieError, Crops]]:
        """For each image, in order, its Faces and their aligned crops (N, S, S, 3) uint8 RGB.

        Nothing is embedded. `size` S in pixels, by the rule of `five_point_template`; None
        takes no crops. An image that cannot be read gives its error and no crops.
        """
        with ThreadPoolExecutor(self.threads, thread_name_prefix="tronie") as pool:
            yield from self._detected(images, pool, size)

    def stream(self, images: Iterable[Source]) -> Iterator[Faces | TronieError]:
        """One outcome an image, in order: its Faces, or the error that it caused.

        An image that cannot be read does not stop the others. Images are read a few a thread
        ahead; an image waits for its faces' batch to fill, but never for more than
        `batch_size * (2 * threads + 1)` later ones.
        """
        with ThreadPoolExecutor(self.threads, thread_name_prefix="tronie") as pool:
            found = self._detected(images, pool, self._crop_size())
            if self._embedder is None:
                yield from (outcome for outcome, _ in found)
                return
            size = self.embedder.batch_size
            waiting: deque[tuple[Faces | TronieError, int]] = deque()
            rows = _Rows(limit=2 * self.threads)
            most_waiting = size * (2 * self.threads + 1)
            pending: list[Crops] = []
            for outcome, crops in found:
                waiting.append((outcome, len(crops)))
                if len(crops):
                    pending.append(crops)
                while sum(map(len, pending)) >= size:
                    together = np.concatenate(pending)
                    rows.add(pool.submit(self.embedder.embed_beside, together[:size]))
                    pending = [together[size:]] if len(together) > size else []
                if len(waiting) > most_waiting:  # one face, then many images without any
                    if pending:
                        rows.add(pool.submit(self.embedder.embed_beside, np.concatenate(pending)))
                        pending = []
                    rows.wait()
                yield from self._ready(waiting, rows)
            if pending:
                rows.add(pool.submit(self.embedder.embed_beside, np.concatenate(pending)))
            rows.wait()
            yield from self._ready(waiting, rows)

    def _ready(
        self, waiting: deque[tuple[Faces | TronieError, int]], rows: _Rows
    ) -> Iterator[Faces | TronieError]:
        """The images at the front whose faces are all embedded."""
        while waiting and waiting[0][1] <= len(rows):
            outcome, n = waiting.popleft()
            if isinstance(outcome, TronieError):
                yield outcome
            else:
                yield self._with_embeddings(outcome, rows.take(n))

    def _with_embeddings(self, faces: Faces, embeddings: NDArray[np.float32]) -> Faces:
        if len(faces) == 0:
            embeddings = np.zeros((0, self.embedder.dimension), np.float32)
        return _gated_by_norm(faces.with_embeddings(embeddings), self.gate)

    def _detected(
        self, images: Iterable[Source], pool: ThreadPoolExecutor, size: Size | None
    ) -> Iterator[tuple[Faces | TronieError, Crops]]:
        """Faces and aligned crops of each image, in order, a window of images at a time."""
        window: deque[Future[tuple[Faces | TronieError, Crops]]] = deque()
        for image in images:
            beside = self.detector.detect_beside
            window.append(pool.submit(self._detect_one, image, beside, size))
            if len(window) >= 4 * self.threads:
                yield window.popleft().result()
        while window:
            yield window.popleft().result()

    def _crop_size(self) -> Size | None:
        if self._embedder is None:
            return None
        contract = self._embedder.contract
        square = contract.height == contract.width
        return contract.height if square else (contract.width, contract.height)

    def _detect_one(
        self, source: Source, detect: Callable[[NDArray[np.uint8]], Faces], size: Size | None
    ) -> tuple[Faces | TronieError, Crops]:
        width, height = size if isinstance(size, tuple) else (size or 0, size or 0)
        none = np.zeros((0, height, width, 3), np.uint8)
        try:
            image = read_image(source)
            faces = self._chosen(detect(image), image.shape[1], image.shape[0])
            if size is None or len(faces) == 0:
                return faces, none
            if faces.landmarks is None:
                raise BadModel(
                    f"detector {self.detector_name} gives no landmarks, and faces cannot be "
                    "aligned without them; choose a detector with five points"
                )
            return faces, aligned_crops(image, faces.landmarks, size=size)
        except TronieError as fault:
            return fault, none

    def _chosen(self, faces: Faces, width: int, height: int) -> Faces:
        """Apply policy and the geometric part of the gate."""
        faces = _gated_by_geometry(faces, self.gate)
        if self.policy == "all" or len(faces) < 2:
            return faces
        if self.policy == "largest":
            best = int(np.argmax(area(faces.boxes)))
        else:
            middle = (faces.boxes[:, :2] + faces.boxes[:, 2:]) / 2
            best = int(np.argmin(((middle - np.array([width / 2, height / 2])) ** 2).sum(axis=1)))
        word = "largest" if self.policy == "largest" else "most central"
        return faces.take([best], notes=(f"{len(faces)} faces found, the {word} used",))


class _Rows:
    """Embeddings that arrive batch by batch, in order, and leave row by row."""

    def __init__(self, *, limit: int) -> None:
        self._limit = limit
        self._coming: deque[Future[NDArray[np.float32]]] = deque()
        self._held: NDArray[np.float32] | None = None

    def add(self, batch: Future[NDArray[np.float32]]) -> None:
        """One more batch; waits for the oldest where `limit` are under way."""
        self._coming.append(batch)
        self._collect(at_most=self._limit)

    def wait(self) -> None:
        """Wait for every batch."""
        self._collect(at_most=0)

    def __len__(self) -> int:
        return 0 if self._held is None else len(self._held)

    def take(self, n: int) -> NDArray[np.float32]:
        """The first n rows, which leave the queue."""
        if self._held is None:
            return np.zeros((0, 0), np.float32)
        first, self._held = self._held[:n].copy(), self._held[n:]
        return first

    def _collect(self, *, at_most: int) -> None:
        while self._coming and (len(self._coming) > at_most or self._coming[0].done()):
            rows = self._coming.popleft().result()
            self._held = rows if self._held is None else np.concatenate([self._held, rows])


def _gated_by_norm(faces: Faces, gate: QualityGate) -> Faces:
    assert faces.embeddings is not None
    norms = np.linalg.norm(faces.embeddings, axis=1)
    reasons = [f"embedding norm {norm:.2f} is under {gate.min_norm:.2f}" for norm in norms]
    return _without(faces, norms < gate.min_norm, reasons)


def _gated_by_geometry(faces: Faces, gate: QualityGate) -> Faces:
    """Leave out what is too small, then what is turned or nods too far."""
    sides = (faces.boxes[:, 2:] - faces.boxes[:, :2]).min(axis=1)
    least = gate.min_size_px
    reasons = [f"{side:.0f} px is under the {least:.0f} px asked for" for side in sides]
    faces = _without(faces, sides < least, reasons)
    if min(gate.max_yaw_rad, gate.max_pitch_rad) >= math.pi or len(faces) == 0:
        return faces
    if faces.landmarks is None:
        raise BadModel(
            "faces cannot be sorted by yaw or pitch without landmarks; choose a detector with "
            "five points, or a gate without angles"
        )
    pose = np.abs(pose_from_five_points(faces.landmarks)[:, :2])
    most = np.array([gate.max_yaw_rad, gate.max_pitch_rad])
    over: NDArray[np.bool_] = pose > most
    reasons = [
        f"{('turned', 'nodding')[axis]} {math.degrees(pose[n, axis]):.0f} degrees, over the "
        f"{math.degrees(most[axis]):.0f} allowed"
        for n, axis in enumerate(over.argmax(axis=1))
    ]
    return _without(faces, over[:, 0] | over[:, 1], reasons)


def _without(faces: Faces, bad: NDArray[np.bool_], reasons: Sequence[str]) -> Faces:
    """The faces that are not bad; the reason against each other one becomes a note."""
    if not bad.any():
        return faces
    notes = tuple(
        f"face at {[round(float(v)) for v in faces.boxes[n]]} left out: {reasons[n]}"
        for n in np.flatnonzero(bad).tolist()
    )
    return faces.take(~bad, notes=notes)
