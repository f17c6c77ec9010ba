"""One analyzer from the options that every verb shares."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from tronie.cli.terminal import say
from tronie.images.threads import set_opencv_threads
from tronie.runtime import zoo
from tronie.runtime.embedder import BATCH_SIZE
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


def open_analyzer(chosen: Chosen) -> FaceAnalyzer:
    """Open the models, and say on stderr what is fetched and what had to be assumed."""
    for name in (chosen.detector, chosen.model):
        if name is not None and not zoo.is_here(name) and not Path(name).is_file():
            zoo.find(name, say=say)
    set_opencv_threads(1)  # photographs are worked on side by side, one thread each
    analyzer = FaceAnalyzer(
        chosen.detector,
        chosen.model,
        options=EngineOptions(
            engine=chosen.engine,
            device=chosen.device,
            threads=chosen.threads,
            precision=chosen.precision,
        ),
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
