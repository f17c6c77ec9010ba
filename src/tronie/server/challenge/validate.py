"""Is this file what the track asks for? The same code for a participant and for the server.

    1  the wrapping            `archive`         nothing is believed, little is read
    2  the matrix, if any      `feature_matrix`
    3  the model's file        `rules_graph`     the protobuf alone, its parts counted before
    4  what the graph does     `rules_shapes`    shapes alone
    5  how it behaves          `behavior`        in a sandbox
    6  how long it takes       `timing`          in the same one

Each step makes all its checks; a step that refuses ends the list, so that nothing is opened that
broke a rule before. What is wrong with us and not with the file is raised, never a check.

The rules of the published checker, `onnx_helper.py` of MFR21, in its order, and ours for each:

     1  track            `track.open_track`      8  112 x 112        input.shape
     2  one file         archive.*               9  size             limits.model_bytes
     3  it loads         file.protobuf,         10  normalization    input.pixels
                         graph.*, engine.opens  11  32-bit weights   weights.*
     4  four axes        input.rank             12  time             limits.latency_ms
     5  free batch       input.batch            13  a batch of 32    behavior.finite, .alone, ...
     6  one output       output.count           14  N x D, D         output.rank,
     7  eight nodes      graph.least_nodes                           limits.dimension
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from tronie.errors import BadArray, BadModel
from tronie.runtime.graph_survey import survey
from tronie.runtime.graph_wire import GraphTooLarge, parse_bounded
from tronie.server.challenge.archive import Upload, open_upload
from tronie.server.challenge.behavior import probe
from tronie.server.challenge.checks import Check, Verdict
from tronie.server.challenge.feature_matrix import matrix_checks
from tronie.server.challenge.probe_crops import drawn_crops
from tronie.server.challenge.reference_network import calibration_factor
from tronie.server.challenge.rules_arrays import SIDE
from tronie.server.challenge.rules_graph import static_checks
from tronie.server.challenge.rules_shapes import shape_checks
from tronie.server.challenge.sandbox import Sandbox, SandboxError
from tronie.server.challenge.sentences import plain
from tronie.server.challenge.timing import Timed, time_model, timing_checks
from tronie.server.challenge.track import Track
from tronie.server.challenge.zip_directory import BadUpload

DRAWN = 32
"""Crops that are drawn where none are given."""
LEAST_CROPS = 8
ENGINE_RULES = {
    "refused": "engine.opens",
    "memory": "engine.memory",
    "time": "engine.time",
    "crashed": "engine.crashed",
    "output": "engine.output",
}
"""By the kind of a SandboxError; "start" is ours."""


class Opened(Timed, Protocol):
    """A model in a sandbox."""

    @property
    def enforced(self) -> Mapping[str, str]:
        """What holds for it."""

    def run(self, pixels: NDArray[np.float32]) -> list[NDArray[Any]]:
        """Its outputs."""


class OpensSandbox(Protocol):
    """Opens a model in a sandbox, as `Sandbox` does."""

    def __call__(self, model: bytes, *, name: str) -> AbstractContextManager[Opened]:
        """A context manager around it."""


def validate(
    path: str | Path,
    track: Track,
    *,
    name: str,
    crops: NDArray[np.uint8] | None = None,
    factor: float | None = None,
    open_sandbox: OpensSandbox = Sandbox,
) -> Verdict:
    """Hold a file to all rules of a track.

    Args:
        path: Of what was sent.
        track: The rules.
        name: Of the track, for the Verdict.
        crops: Real crops (M, 112, 112, 3) uint8 RGB, M >= 8, to probe and time with; drawn ones by
            default.
        factor: Of this machine, see `reference_network`; measured where the track needs one and
            none is given.
        open_sandbox: What runs a stranger's model.

    Returns:
        All checks that were made. `facts` holds what was measured besides.

    Raises:
        NotFound, BadInput: there is no such file, or it cannot be read.
        BadArray: crops of another shape or type.
        SandboxError: of kind "start": the sandbox itself did not come up, or the reference network
            could not be run.
    """
    probes = drawn_crops(DRAWN) if crops is None else _checked(crops)
    try:
        upload = open_upload(path, kind=track.takes, limits=track.limits, rows=track.rows)
    except BadUpload as fault:
        refused = Check(rule=fault.rule, passed=False, reason=plain(str(fault), 600))
        return Verdict(track=name, checks=(refused,))
    with upload:
        trial = _Trial(track, probes, factor, open_sandbox)
        trial.judge(upload)
    return Verdict(track=name, checks=tuple(trial.checks), facts=trial.facts)


class _Trial:
    """The checks of one upload as they are made."""

    def __init__(
        self,
        track: Track,
        crops: NDArray[np.uint8],
        factor: float | None,
        open_sandbox: OpensSandbox,
    ) -> None:
        self.checks = [
            Check(rule="archive.form", passed=True, reason="the file holds what the track takes")
        ]
        self.facts: dict[str, Any] = {}
        self._track = track
        self._crops = crops
        self._factor = factor
        self._open_sandbox = open_sandbox

    def judge(self, upload: Upload) -> None:
        """All steps, until one refuses."""
        model = self._static(upload.model)
        if model is None:
            return
        shaped = shape_checks(model, self._track)
        del model
        self.facts |= shaped.facts
        if not self._add(shaped.checks) or shaped.dimension is None:
            return
        if upload.features is not None:
            found = matrix_checks(upload.features, self._track, dimension=shaped.dimension)
            if not self._add(found):
                return
        self._run(upload.model, shaped.dimension)

    def _add(self, checks: list[Check]) -> bool:
        """Whether all of them are kept."""
        self.checks += checks
        return all(check.passed for check in checks)

    def _static(self, data: bytes) -> Any:
        """The open graph, or None where a rule of its file is broken."""
        self.facts["model_bytes"] = len(data)
        try:
            model = parse_bounded(data, name="model.onnx")
        except GraphTooLarge as fault:
            self.checks.append(Check(rule="file.bounds", passed=False, reason=str(fault)))
            return None
        except BadModel as fault:
            words = plain(str(fault), 600)
            self.checks.append(Check(rule="file.protobuf", passed=False, reason=words))
            return None
        self.checks.append(Check(rule="file.protobuf", passed=True, reason="it is an ONNX file"))
        found = survey(model)
        self.facts["nodes"], self.facts["weight_bytes"] = found.nodes, found.weight_bytes
        kept = self._add(static_checks(found, self._track, size_bytes=len(data)))
        return model if kept else None

    def _run(self, model: bytes, dimension: int) -> None:
        """Steps 5 and 6; the machine's factor is measured first, since its faults are ours."""
        if self._track.takes == "model" and self._factor is None:
            self._factor = self._measured_factor()
        try:
            with self._open_sandbox(model, name="model.onnx") as opened:
                self.facts["sandbox"] = dict(opened.enforced)
                reason = "the engine opens the model"
                self.checks.append(Check(rule="engine.opens", passed=True, reason=reason))
                if not self._add(probe(opened.run, self._crops, dimension=dimension)):
                    return
                if self._track.takes == "model":
                    factor = self._factor or 1.0
                    timing = time_model(opened, self._crops)
                    self._add(timing_checks(timing, self._track, factor=factor))
                    self.facts |= timing.facts(factor)
        except SandboxError as fault:
            if fault.kind not in ENGINE_RULES:
                raise
            rule = ENGINE_RULES[fault.kind]
            self.checks = [check for check in self.checks if check.rule != rule]
            self.checks.append(Check(rule=rule, passed=False, reason=str(fault)))

    def _measured_factor(self) -> float:
        reference = self._track.reference
        if reference is None:
            return 1.0
        try:
            return calibration_factor(reference, self._crops, open_sandbox=self._open_sandbox)
        except SandboxError as fault:
            raise SandboxError(
                f"the reference network {reference.network} could not be timed: {fault}",
                kind="start",
                log=fault.log,
            ) from fault


def _checked(crops: NDArray[np.uint8]) -> NDArray[np.uint8]:
    wanted = (SIDE, SIDE, 3)
    if crops.ndim != 4 or crops.shape[1:] != wanted or crops.dtype != np.uint8:
        raise BadArray(
            f"crops to probe with must be uint8 (M, {SIDE}, {SIDE}, 3); got {crops.dtype} of shape "
            f"{crops.shape}"
        )
    if len(crops) < LEAST_CROPS:
        raise BadArray(f"probing needs at least {LEAST_CROPS} crops; got {len(crops)}")
    return crops
