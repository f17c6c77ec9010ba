"""Searches over tiny networks: a toy recipe, and candidates with planted scores.

toy_search(**changes)     a recipe of 6 backbones and 4 networks of 0.3 GFLOPs
planted(job)              a candidate that is done at once: the nearer its C2 is to 20 % of the
                          FLOPs, the better

Run as a program it is a search with planted candidates, for tests that kill it:
`python toy_redistribution.py DATA OUT SECONDS_PER_CANDIDATE`.
"""

from __future__ import annotations

import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from toy_detection import toy_recipe

PLANTED = 0.2
TEMPLATE = "scrfd-depthwise-1.1.1.1-8.8.16.16.24.32-n8-h16x1-gn8"
NAME = "detection/toy"


def toy_proxy(**changes: Any) -> Any:
    """Crops of 64 pixels; a third of the photographs are held out."""
    from tronie.lab.training.detection_recipe import DetectionData, DetectionValidation

    proxy = toy_recipe(
        detector=TEMPLATE,
        batch_size=2,
        ema=0.0,
        data=DetectionData(sizes=(64,), held_out=0.35, threads=1),
        validation=DetectionValidation(size=64),
    )
    return replace(proxy, **changes)


def toy_search(**changes: Any) -> Any:
    """See the head of this file."""
    from tronie.lab.training.redistribute.recipe import RedistributionRecipe

    settings: dict[str, Any] = {
        "template": TEMPLATE,
        "blocks": ("depthwise",),
        "flops": 0.3e9,
        "tolerance": 0.05,
        "backbones": 6,
        "networks": 4,
        "steps": 2,
        "bootstrap_draws": 200,
        "proxy": toy_proxy(),
        **changes,
    }
    return RedistributionRecipe(**settings)


def planted_score(detector: str) -> float:
    """The planted score of a network."""
    from tronie.lab.training.redistribute.budget import shares_by_part
    from tronie.lab.training.redistribute.opening import candidate_layout

    return 1 - abs(shares_by_part(candidate_layout(detector))["C2"] - PLANTED)


class Planted:
    """A candidate that takes a while, of which nothing is computed."""

    def __init__(self, job: Any, seconds: float = 0.0) -> None:
        self._job, self._done_at = job, time.monotonic() + seconds
        job.run.mkdir(parents=True, exist_ok=True)
        with (job.run / "begun").open("a") as file:
            file.write("once\n")

    def fault(self) -> str | None:
        from tronie.lab.training.redistribute.search_folder import Result, write_result

        if time.monotonic() < self._done_at:
            return None
        detector = self._job.recipe.detector
        score = planted_score(detector)
        result = Result(
            detector=detector,
            score=score,
            validation={self._job.score: score},
            parameters=1000,
            steps=2,
            seconds=1.0,
        )
        write_result(self._job.run, result)
        return ""

    def end(self) -> None:
        """Nothing is at work."""


def main() -> int:
    """See the head of this file."""
    from tronie.lab.training.redistribute.search import redistribute

    data, out, seconds = sys.argv[1:]
    found = redistribute(
        NAME,
        toy_search(),
        data=Path(data),
        out=Path(out),
        start=lambda job: Planted(job, float(seconds)),
        progress=lambda told: print(told.candidate.key, flush=True),
    )
    return found.left


if __name__ == "__main__":
    sys.exit(main())
