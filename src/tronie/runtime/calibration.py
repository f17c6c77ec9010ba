"""The card that says what a score of one model means: thresholds with their error rates.

A card belongs to one model file (by SHA-256) run with one detector and alignment. It was made
from all pairs of a named set of photographs by `tronie models calibrate`; it holds the counts,
so that nobody has to believe a rate without knowing on how many errors it rests.

    fmr     false match rate: impostor pairs with score >= threshold, of all impostor pairs
            (the field also says FAR)
    tar     genuine pairs with score >= threshold, of all genuine pairs

What a rate measured on one set says about other cameras, ages or groups of people, the card
cannot know. It is a floor for honesty, not a promise.
"""

from __future__ import annotations

import json
import math
from bisect import bisect_right
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tronie.errors import BadFile, NotEnoughData

DEFAULT_FMR = 1e-4
"""One impostor pair in ten thousand, unless the user asks otherwise."""


@dataclass(frozen=True, kw_only=True)
class Threshold:
    """A score to compare with, and the error rate that belongs to it."""

    value: float
    """To be used as `score >= value`."""
    fmr: float
    """Measured false match rate at this value; NaN where nobody measured one."""
    false_matches: int | None
    impostor_pairs: int | None
    source: str
    """Where it was measured, in words."""
    tar: float | None = None
    is_bound: bool = False
    """Whether `fmr` and `false_matches` are upper bounds instead of counts at this value."""

    def to_dict(self) -> dict[str, Any]:
        """Keys as the command line prints them; an unknown rate is null.

        `fmr_is_bound` is there only where it is true.
        """
        told = {
            "threshold": round(self.value, 6),
            "fmr": None if math.isnan(self.fmr) else self.fmr,
            "false_matches": self.false_matches,
            "impostor_pairs": self.impostor_pairs,
            "threshold_source": self.source,
        }
        return {**told, "fmr_is_bound": True} if self.is_bound else told


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """One card, as `read_calibration` gives it."""

    model: str
    model_sha256: str
    detector: str
    contract: str
    """Embedding contract id of the pipeline that was measured."""
    dataset: str
    points: tuple[dict[str, Any], ...]
    curve: tuple[dict[str, Any], ...]
    photos: int
    people: int
    impostor_pairs: int
    genuine_pairs: int
    provenance: dict[str, Any]
    settings: dict[str, Any] = field(default_factory=dict)
    """How it was measured: engine, precision, canvas; empty where the card does not say."""

    def at_fmr(self, fmr: float) -> Threshold:
        """The lowest measured threshold whose FMR is at most `fmr`.

        Raises:
            NotEnoughData: `fmr` is below what this many impostor pairs can show, or above 1.
        """
        if not 1 / self.impostor_pairs <= fmr <= 1:
            raise NotEnoughData(
                f"FMR {fmr:g} cannot be told from {self.impostor_pairs} impostor pairs; ask for "
                f"one between {1 / self.impostor_pairs:.1e} and 1, or state --threshold"
            )
        for point in self.points:
            if math.isclose(point["far"], fmr, rel_tol=1e-12):
                return self._threshold(point, tar=point["tar"])
        steps = [step for step in self.curve if step["fmr"] <= fmr and step["exact"]]
        if not steps:
            raise NotEnoughData(
                f"the calibration of {self.model} holds no threshold for FMR {fmr:g}; "
                "run `tronie models calibrate` on more photographs, or state --threshold"
            )
        return self._threshold(min(steps, key=lambda step: float(step["threshold"])))

    def stated(self, value: float) -> Threshold:
        """A threshold that the user chose, with the FMR this card has for it.

        Between two steps of the curve, and at a step that was not counted exactly, that is
        an upper bound, and `is_bound` says so.
        """
        step = self._step(value)
        if step is None:
            step = {"fmr": 1.0, "false_matches": self.impostor_pairs, "exact": False}
        counted = step["exact"] and step["threshold"] == value
        bound = not counted and step["false_matches"] > 0
        return self._threshold({**step, "threshold": value}, is_bound=bound)

    def fmr_of(self, score: float) -> float:
        """Share of impostor pairs that score at least this: an upper bound from the curve.

        0.0 is to be read as "less than one in `impostor_pairs`".
        """
        step = self._step(score)
        return 1.0 if step is None else float(step["fmr"])

    @property
    def source(self) -> str:
        """Where the numbers were measured, in words."""
        return (
            f"{self.dataset}: {self.impostor_pairs} impostor and {self.genuine_pairs} genuine "
            f"pairs, detector {self.detector}"
        )

    def _step(self, score: float) -> dict[str, Any] | None:
        place = bisect_right([float(s["threshold"]) for s in self.curve], score)
        return self.curve[place - 1] if place else None

    def _threshold(
        self, step: dict[str, Any], *, tar: float | None = None, is_bound: bool = False
    ) -> Threshold:
        return Threshold(
            value=step["threshold"],
            fmr=step["fmr"],
            false_matches=step["false_matches"],
            impostor_pairs=self.impostor_pairs,
            source=self.source,
            tar=tar,
            is_bound=is_bound,
        )


def read_calibration(path: Path) -> Calibration:
    """Read a card written by `tronie models calibrate`.

    Raises:
        BadFile: no JSON, or a field is missing; the message names it.
    """
    try:
        told = json.loads(path.read_text("utf-8"))
        result = told["result"]
        card = Calibration(
            model=str(told["model"]),
            model_sha256=str(told["model_sha256"]),
            detector=str(told["detector"]),
            contract=str(told["contract"]),
            dataset=str(told["dataset"]),
            points=tuple(_checked(p, (*_STEP, "far", "tar")) for p in result["points"]),
            curve=tuple(_checked(s, (*_STEP, "exact")) for s in result["curve"]),
            photos=int(result["photos"]),
            people=int(result["people"]),
            impostor_pairs=int(result["impostor_pairs"]),
            genuine_pairs=int(result["genuine_pairs"]),
            provenance=dict(told["provenance"]),
            settings=dict(told.get("settings") or {}),
        )
        if card.impostor_pairs < 1 or not card.curve:
            raise ValueError("it holds no impostor pairs")
        rising = [step["threshold"] for step in card.curve]
        falling = [-step["fmr"] for step in card.curve]
        if rising != sorted(rising) or falling != sorted(falling):
            raise ValueError("the thresholds of its curve must rise and its rates fall")
    except (OSError, ValueError, KeyError, TypeError) as fault:
        raise BadFile(
            f"{path.name} is no calibration card: {type(fault).__name__} {fault}"
        ) from fault
    return card


_STEP = ("threshold", "fmr", "false_matches")


def _checked(step: dict[str, Any], keys: tuple[str, ...]) -> dict[str, Any]:
    """One point or step whose fields are there and finite numbers."""
    for key in keys:
        if not math.isfinite(step[key]):
            raise ValueError(f"{key} is {step[key]}")
    return dict(step)
