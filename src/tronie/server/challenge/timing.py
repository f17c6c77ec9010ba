"""How long a model takes for a crop, here and on the machine that a limit was given for.

    factor      time of the reference network here / its published time there
    time there  time here / factor

    median, p95     of ROUNDS calls on one crop each, real ones in random order, after WARM_UP
    content         the fastest call on crops, on black pictures and on noise, in turns: they must
                    not differ by more than MOST_RATIO. The work of a network hardly depends on what
                    it sees: a PReLU that guesses signs wrong takes the engine up to nine times as
                    long on noise as on black, and small networks of them 1.8 to 2.3 times in all

The limit holds for the median. The slowest twentieth of calls may take SLACK times the limit: on
a machine that does other things too, some calls always wait.

Source: `onnx_helper.py` of MFR21 took the sixth fastest of 50 calls on one picture, not warmed up.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from tronie.runtime.latency import nearest_rank
from tronie.runtime.pixels import network_input
from tronie.server.challenge.behavior import INPUT
from tronie.server.challenge.checks import Check
from tronie.server.challenge.track import Track

ROUNDS, WARM_UP = 60, 8
CONTENT_ROUNDS, TURNS = 12, 3
MOST_RATIO = 4.0
SLACK = 2.0
SEED = 50


class Timed(Protocol):
    """A model that can be timed: a sandbox."""

    def latencies_ms(
        self, pixels: NDArray[np.float32], *, batch: int = 1, rounds: int, warmup: int
    ) -> NDArray[np.float64]:
        """Milliseconds of each round."""


@dataclass(frozen=True, kw_only=True)
class Timing:
    """Of one crop on this machine, in milliseconds."""

    median_ms: float
    p95_ms: float
    content_ratio: float
    """Of the slowest kind of picture to the fastest."""

    def facts(self, factor: float) -> Mapping[str, Any]:
        """Plain JSON."""
        return {
            "latency_here_median_ms": self.median_ms,
            "latency_here_p95_ms": self.p95_ms,
            "latency_content_ratio": self.content_ratio,
            "calibration_factor": factor,
        }


def time_model(model: Timed, crops: NDArray[np.uint8]) -> Timing:
    """Time a model on crops (M, 112, 112, 3) uint8 RGB."""
    random = np.random.default_rng(SEED)
    shuffled = crops[random.permutation(len(crops))]
    pixels = network_input(shuffled, INPUT)
    times = model.latencies_ms(pixels, batch=1, rounds=ROUNDS, warmup=WARM_UP)
    noise = random.integers(0, 256, crops[:1].shape).astype(np.uint8)
    kinds = [pixels, network_input(np.zeros_like(noise), INPUT), network_input(noise, INPUT)]
    fastest = [
        [float(model.latencies_ms(kind, rounds=CONTENT_ROUNDS, warmup=1).min()) for kind in kinds]
        for _ in range(TURNS)
    ]
    quickest = np.min(fastest, axis=0)
    return Timing(
        median_ms=float(np.median(times)),
        p95_ms=nearest_rank(times.tolist(), 0.95),
        content_ratio=float(quickest.max() / max(quickest.min(), 1e-6)),
    )


def timing_checks(timing: Timing, track: Track, *, factor: float) -> list[Check]:
    """Hold times to the limit of the track; without one they are told and kept.

    Args:
        timing: On this machine.
        track: Its limit and the machine that it was given for.
        factor: See the top of the file; 1.0 where the limit is for this machine.
    """
    return [
        _limit(
            "limits.latency_ms",
            "half of the calls take at most",
            timing.median_ms,
            track,
            factor,
            allowed=1.0,
        ),
        _limit(
            "limits.latency_p95_ms",
            "19 of 20 calls take at most",
            timing.p95_ms,
            track,
            factor,
            allowed=SLACK,
        ),
        _content(timing),
    ]


def _limit(
    rule: str, what: str, here_ms: float, track: Track, factor: float, *, allowed: float
) -> Check:
    there = here_ms / factor
    most = track.limits.latency_ms and track.limits.latency_ms * allowed
    passed = most is None or there <= most
    if track.reference is None:
        told = f"{what} {here_ms:.2f} ms a crop here"
    else:
        told = (
            f"{what} {here_ms:.2f} ms a crop here, which stands for {there:.3f} ms on "
            f"{track.reference.machine}: the factor of this machine is {factor:.3f}, by "
            f"{track.reference.network}"
        )
    asked = "" if most is None else f"; at most {most:g} ms are allowed"
    return Check(
        rule=rule,
        passed=passed,
        measured=round(there, 4),
        limit=most,
        unit="ms",
        reason=f"{told}{asked}{'' if passed else '. Send a faster network'}",
    )


def _content(timing: Timing) -> Check:
    ratio = timing.content_ratio
    passed = ratio <= MOST_RATIO
    return Check(
        rule="behavior.latency",
        passed=passed,
        measured=round(ratio, 3),
        limit=MOST_RATIO,
        reason=f"crops, black pictures and noise take the same time within {ratio:.2f}"
        if passed
        else f"some pictures take {ratio:.2f} times as long as others, where {MOST_RATIO:g} is the "
        "most; the work of a network may not depend on what it sees",
    )
