"""One candidate, trained and judged by a process of its own: `python -m` this file.

    stdin     one line: a Job as JSON. Then nothing: when it ends, who asked is gone, and so are we
    RUN       a run like any other, and result.json in it as the last thing
    stderr    why it came to nothing, one sentence, with exit code 2

A run that was cut off goes on from its last checkpoint, or begins again where there is none. Who
asked may have been killed a moment ago, with its candidate still at work: the folder is waited for.
"""

from __future__ import annotations

import fcntl
import json
import math
import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tronie.errors import BadFile, BadInput, TronieError
from tronie.lab.nn.cost import parameters
from tronie.lab.nn.detector import build_detector
from tronie.lab.training.detection_recipe import DetectionRecipe
from tronie.lab.training.distributed import Place, start
from tronie.lab.training.redistribute.search_folder import Result, write_result
from tronie.lab.training.run_folder import RECIPE, NamedRecipe
from tronie.lab.training.runs import Run, begin, go_on
from tronie.lab.training.settings import from_dict, to_dict


@dataclass(frozen=True, kw_only=True)
class Job:
    """What a process is asked to do."""

    name: str
    """Of the recipe that the candidate belongs to."""
    recipe: DetectionRecipe
    data: Path
    run: Path
    """Folder of the candidate."""
    score: str
    """Which number of its validation is its score."""

    def to_line(self) -> str:
        """As `read_job` takes it."""
        told = {
            "name": self.name,
            "recipe": to_dict(self.recipe),
            "data": str(self.data),
            "run": str(self.run),
            "score": self.score,
        }
        return json.dumps(told) + "\n"


def read_job(line: str) -> Job:
    """The inverse of `Job.to_line`.

    Raises:
        BadFile: it is none.
    """
    try:
        told: dict[str, Any] = json.loads(line)
        return Job(
            name=told["name"],
            recipe=from_dict(DetectionRecipe, told["recipe"], where="the candidate"),
            data=Path(told["data"]),
            run=Path(told["run"]),
            score=told["score"],
        )
    except (ValueError, KeyError, TypeError) as error:
        raise BadFile(f"a candidate is one line of JSON; got {line!r:.60}: {error!r}") from error


def train_candidate(job: Job) -> Result:
    """Train and judge it, and write down what it turned out to be.

    Raises:
        TronieError: it cannot be trained or judged.
    """
    began = time.perf_counter()
    with _alone_in(job.run), start() as place, _opened(job, place) as run:
        outcome = run.train()
        score = outcome.validation.get(job.score, math.nan)
        if not math.isfinite(score):
            raise BadInput(
                f"{job.recipe.detector} has no {job.score} after {outcome.steps} steps; its "
                f"validation gives {dict(outcome.validation)}"
            )
        result = Result(
            detector=job.recipe.detector,
            score=score,
            validation=outcome.validation,
            parameters=parameters(build_detector(job.recipe.detector)),
            steps=outcome.steps,
            seconds=time.perf_counter() - began,
        )
        write_result(job.run, result)
    return result


def _opened(job: Job, place: Place) -> AbstractContextManager[Run]:
    """A run that goes on, or begins; to be entered."""
    if (job.run / RECIPE).is_file():
        return go_on(job.run, place=place, data=job.data)
    named = NamedRecipe(name=job.name, recipe=job.recipe)
    return begin(named, data=job.data, out=job.run, place=place)


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Waits until whoever works in the folder has let go of it."""
    folder.mkdir(parents=True, exist_ok=True)
    number = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(number, fcntl.LOCK_EX)
        yield
    finally:
        os.close(number)


def _end_with(asker: int) -> None:
    """Ends this process when nobody can hear of its end any more."""
    while os.read(asker, 1):
        pass
    os._exit(1)


def main() -> int:
    """Do the job that stdin holds; the exit code."""
    try:
        job = read_job(sys.stdin.readline())
        asker = sys.stdin.fileno()
        threading.Thread(target=_end_with, args=(asker,), daemon=True).start()
        train_candidate(job)
    except TronieError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
