"""How a submission is judged: the checks of its track, then its score on the organizer's data.

    checking   archive ──> rules of the graph ──> behavior and time, in the sandbox   (`validate`)
    running    a model:     every crop through the sandbox, then the protocol
               a matrix:    the protocol

The same checks run on a participant's machine, on other crops. The sandbox of a running model is
a new one; what was enforced in it stands in the Report. Embeddings and pairs that are done stay on
the disk until the score is there, so that a worker that is killed costs little; see `unfinished`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tronie.errors import NotFound, TronieError
from tronie.evaluation.pairs.sets import HowToRun
from tronie.server.challenge.archive import Upload, open_upload
from tronie.server.challenge.checks import Check, Verdict
from tronie.server.challenge.probe_crops import drawn_crops
from tronie.server.challenge.reference_network import calibration_factor
from tronie.server.challenge.sandbox import Bounds, Sandbox, SandboxError, host_report
from tronie.server.challenge.scoring import (
    BATCH,
    BadRows,
    TrackData,
    embed_all,
    protocol_version,
    score,
)
from tronie.server.challenge.submission import Submission
from tronie.server.challenge.track import Track
from tronie.server.challenge.unfinished import Kept, Unfinished
from tronie.server.challenge.validate import validate
from tronie.server.challenge.worker import Alive, BrokeRule, Scored, Unwanted

SAMPLE = 64
"""Crops of the organizer that a model is tried on."""
CROP_S = 1.0
"""Of wall clock and of processor time that a crop may take while all of them are embedded."""
SLOWER = 4.0
"""How many times as long as at the checks it may take where that is more: other work may run
beside it."""


class Judging:
    """Judges the submissions of a challenge; see `worker.Judge`.

    Args:
        tracks: By name.
        data: Of each track that is judged here.
        work: A folder for what is half made; workers on one machine share it.
        bounds: Of a model that is scored.
        threads: To compare pairs with; all cores if None.
    """

    def __init__(
        self,
        tracks: Mapping[str, Track],
        data: Mapping[str, TrackData],
        *,
        work: Path,
        bounds: Bounds = Bounds(),  # noqa: B008 - frozen
        threads: int | None = None,
    ) -> None:
        self._tracks, self._data = tracks, data
        self._unfinished = Unfinished(work)
        self._bounds, self._threads = bounds, threads
        self._factors: dict[str, float] = {}
        self._measuring = Lock()

    def check(self, submission: Submission, upload: Path, alive: Alive) -> Verdict:
        """The rules of its track.

        Raises:
            NotFound: this worker has no data of that track.
        """

        @contextmanager
        def opened(model: bytes, *, name: str) -> Iterator[_Watched]:
            alive()
            with Sandbox(model, name=name) as box:
                yield _Watched(box, alive)

        track, data = self._of(submission)
        crops = data.crops.sample(SAMPLE) if data.crops is not None else drawn_crops(SAMPLE)
        factor = self._factor(submission.track, track, crops)
        alive()
        return validate(
            upload,
            replace(track, rows=data.rows),
            name=submission.track,
            crops=crops,
            factor=factor,
            open_sandbox=opened,
        )

    def score(self, submission: Submission, upload: Path, alive: Alive) -> Scored:
        """Its Report, by the protocol of its track.

        Raises:
            BrokeRule: the model breaks a bound, or its rows cannot be scored.
            NotFound: this worker has no data of that track.
        """
        track, data = self._of(submission)
        verdict = submission.verdict or Verdict(track=submission.track, checks=())
        limits = track.limits
        with self._unfinished.of(submission.id, alive) as kept:
            try:
                with open_upload(upload, kind=track.takes, limits=limits, rows=data.rows) as sent:
                    scored = self._scored(submission, sent, verdict, kept, alive)
            except SandboxError as fault:
                alive()  # who ends this worker may have ended its sandbox before
                if fault.kind == "start":
                    raise
                kept.forget()
                raise _broke(verdict, f"running.{fault.kind}", str(fault)) from fault
            except BadRows as fault:
                kept.forget()
                raise _broke(verdict, "running.rows", str(fault)) from fault
            except Unwanted:
                raise
            except Exception:  # ours; what is kept may be what is wrong
                kept.forget()
                raise
            kept.forget()
        return scored

    def forget(self, has_ended: Callable[[str], bool]) -> None:
        """Remove what was begun here for submissions that others have ended."""
        self._unfinished.forget_ended(has_ended)

    def _scored(
        self, submission: Submission, sent: Upload, verdict: Verdict, kept: Kept, alive: Alive
    ) -> Scored:
        track, data = self._of(submission)
        features, enforced = sent.features, dict[str, str]()
        if features is None:
            features, enforced = self._embedded(submission, sent, verdict, kept, alive)
        report = score(
            track,
            data,
            features,
            verdict=verdict,
            sandbox=enforced,
            threads=self._threads,
            how=HowToRun(checkpoint=kept.file("pairs"), progress=lambda *_: alive()),
        )
        return Scored(json.loads(report.to_json()), protocol_version(track))

    def _embedded(
        self, submission: Submission, sent: Upload, verdict: Verdict, kept: Kept, alive: Alive
    ) -> tuple[Path, dict[str, str]]:
        """The embeddings of all crops, and what was enforced while they were made."""
        data = self._data[submission.track]
        assert data.crops is not None
        of = hashlib.sha256(f"{submission.sha256} {data.crops.sha256}".encode()).hexdigest()
        rows = kept.file(f"{of[:16]}.npy")
        if rows.is_file():  # whole, and its worker was killed while it compared pairs
            return rows, dict(host_report())
        with Sandbox(
            sent.model, name="the model", bounds=bounds_for(data.rows, verdict, self._bounds)
        ) as box:
            embed_all(
                data,
                lambda pixels: box.run(pixels)[0],
                rows,
                name=submission.sha256,
                progress=lambda *_: alive(),
            )
            return rows, dict(box.enforced)

    def _of(self, submission: Submission) -> tuple[Track, TrackData]:
        try:
            return self._tracks[submission.track], self._data[submission.track]
        except KeyError:
            raise NotFound(
                f"this worker has no data of the track {submission.track}; it has those of "
                f"{', '.join(self._data) or 'none'}"
            ) from None

    def _factor(self, name: str, track: Track, crops: NDArray[np.uint8]) -> float:
        """Of this machine against the one that the track's time was given for; measured once."""
        if track.reference is None:
            return 1.0
        with self._measuring:
            if name not in self._factors:
                self._factors[name] = calibration_factor(
                    track.reference, crops, open_sandbox=Sandbox
                )
            return self._factors[name]


class _Watched:
    """A sandbox that is asked no more once the answer is wanted no more."""

    def __init__(self, box: Sandbox, alive: Alive) -> None:
        self._box, self._alive = box, alive

    @property
    def enforced(self) -> Mapping[str, str]:
        """What holds for it."""
        return self._box.enforced

    def run(self, pixels: NDArray[np.float32]) -> list[NDArray[Any]]:
        """As `Sandbox.run`."""
        self._alive()
        return self._box.run(pixels)

    def latencies_ms(
        self, pixels: NDArray[np.float32], *, batch: int = 1, rounds: int, warmup: int
    ) -> NDArray[np.float64]:
        """As `Sandbox.latencies_ms`."""
        self._alive()
        return self._box.latencies_ms(pixels, batch=batch, rounds=rounds, warmup=warmup)


def bounds_for(rows: int, verdict: Verdict, least: Bounds) -> Bounds:
    """Bounds of a model that embeds so many crops, on top of the least.

    A second for each crop, or SLOWER times what one took at the checks where that is more: on a
    slow machine, a model within the limits of its track takes longer.
    """
    took_s = verdict.facts.get("latency_here_p95_ms", 0.0) / 1000
    crop_s = max(CROP_S, SLOWER * took_s)
    return replace(
        least,
        wall_s=least.wall_s + crop_s * rows,
        cpu_s=least.cpu_s + crop_s * rows * least.threads,
        call_s=max(least.call_s, crop_s * BATCH),
    )


def _broke(verdict: Verdict, rule: str, sentence: str) -> BrokeRule:
    check = Check(rule=rule, passed=False, reason=sentence)
    return BrokeRule(sentence, replace(verdict, checks=(*verdict.checks, check)))


def open_data(
    tracks: Mapping[str, Track], folders: Mapping[str, Path]
) -> tuple[dict[str, TrackData], dict[str, str]]:
    """The data of every track, and why those that cannot be used cannot, by name."""
    opened, faults = {}, {}
    for name, track in tracks.items():
        try:
            if name not in folders:
                raise NotFound(f"no folder of data is named for {name}")
            opened[name] = TrackData.open(folders[name], track)
        except TronieError as fault:
            faults[name] = str(fault)
    return opened, faults
