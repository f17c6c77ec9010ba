"""One analyzer from the options that every verb shares, and what a Report says of it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tronie.cli.terminal import say
from tronie.errors import TronieError
from tronie.images.threads import set_opencv_threads
from tronie.runtime import zoo
from tronie.runtime.detector import Detector
from tronie.runtime.embedder import BATCH_SIZE, Embedder
from tronie.runtime.pipeline import FaceAnalyzer, QualityGate
from tronie.runtime.session import EngineOptions


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """What the user asked for on the command line; the defaults are those of the verbs."""

    detector: str
    model: str | None = None
    engine: str = "onnxruntime"
    device: str = "cpu"
    threads: int | None = None
    precision: str = "float32"
    policy: str = "all"
    flip: bool = False
    batch_size: int | None = None
    canvas: int | None = None
    det_threshold: float | None = None
    min_size: float = 0.0
    max_yaw: float = 180.0
    min_norm: float = 0.0

    @property
    def engine_options(self) -> EngineOptions:
        """How both models are run."""
        return EngineOptions(
            engine=self.engine,
            device=self.device,
            threads=self.threads,
            precision=self.precision,
        )


def open_analyzer(chosen: Chosen) -> FaceAnalyzer:
    """Open the models, and say on stderr what is fetched and what had to be assumed."""
    for name in (chosen.detector, chosen.model):
        if name is not None and not zoo.is_here(name) and not Path(name).is_file():
            zoo.find(name, say=say)
    set_opencv_threads(1)  # photographs are worked on side by side, one thread each
    analyzer = FaceAnalyzer(
        chosen.detector,
        chosen.model,
        options=chosen.engine_options,
        policy=chosen.policy,
        gate=QualityGate(
            min_size_px=chosen.min_size,
            max_yaw_rad=math.radians(chosen.max_yaw),
            min_norm=chosen.min_norm,
        ),
        flip=chosen.flip,
        canvas=chosen.canvas,
        score_threshold=chosen.det_threshold,
        batch_size=chosen.batch_size or BATCH_SIZE,
    )
    for words in analyzer.assumed:
        say(f"assumed: {words}")
    return analyzer


def open_detector(chosen: Chosen, *, nms_threshold: float | None = None) -> tuple[Detector, str]:
    """Open the detector alone, and tell its SHA-256; None: the threshold of its contract."""
    file = zoo.find(chosen.detector, say=say)
    session, contract = zoo.open_model(file, chosen.engine_options, kind="detector")
    for words in contract.assumed:
        say(f"assumed: {words}")
    detector = Detector(
        session,
        contract,
        canvas=chosen.canvas,
        score_threshold=chosen.det_threshold,
        nms_threshold=nms_threshold,
    )
    return detector, file.sha256


def open_embedder(chosen: Chosen) -> tuple[Embedder, str]:
    """Open the recognizer alone, for crops that are aligned already, and tell its SHA-256."""
    assert chosen.model is not None
    file = zoo.find(chosen.model, say=say)
    session, contract = zoo.open_model(file, chosen.engine_options, kind="embedder")
    for words in contract.assumed:
        say(f"assumed: {words}")
    embedder = Embedder(
        session, contract, flip=chosen.flip, batch_size=chosen.batch_size or BATCH_SIZE
    )
    return embedder, file.sha256


def embed_one_each(
    analyzer: FaceAnalyzer, photos: Sequence[bytes] | Sequence[Path]
) -> NDArray[np.float32]:
    """One row a photograph, NaN where no face was found: what protocols ask for.

    Raises:
        TronieError: a photograph cannot be read.
    """
    rows: NDArray[np.float32] | None = None
    for n, outcome in enumerate(analyzer.stream(photos)):
        if isinstance(outcome, TronieError):
            raise outcome
        assert outcome.embeddings is not None
        if rows is None:
            rows = np.full((len(photos), outcome.embeddings.shape[1]), np.nan, np.float32)
        if len(outcome):
            rows[n] = outcome.embeddings[0]
    assert rows is not None
    return rows


def settings(analyzer: FaceAnalyzer) -> dict[str, object]:
    """What ran, for a Report."""
    run = analyzer.embedder.session.options
    return {
        "model": analyzer.model_name,
        "detector": analyzer.detector_name,
        "contract": analyzer.contract_id,
        "engine": run.engine,
        "precision": run.precision,
        "flip": analyzer.embedder.flip,
    }


def checksums(analyzer: FaceAnalyzer) -> dict[str, str]:
    """The SHA-256 of both models, for the provenance of a number."""
    return {
        f"model {analyzer.model_name}": analyzer.model_sha256,
        f"detector {analyzer.detector_name}": analyzer.detector_sha256,
    }
