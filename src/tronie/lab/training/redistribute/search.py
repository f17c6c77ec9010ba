"""Computation redistribution: which layout is best under a budget, by training many a little.

    step 1    draw backbones under the budget, neck and head of the template; train each for as many
              steps, judge it on photographs that none is trained on
    step 2    the best of them is the template: deeper or wider as a whole, with another neck and
              head, under the same budget; trained and judged alike
    best      of both

The candidates of a step are drawn before the first of them is trained, and written down. A search
that is ended at any moment goes on by the same call: what is done stays, what was cut off goes on
or begins again, nothing is drawn anew. It takes as much time as it is given: no candidate is begun
that is not likely to be done in time, and one that is not is stopped.

Source: Guo et al., SCRFD, ICLR 2022, arXiv:2105.04714.
Differs from it: candidates are compared on a share of the training photographs, so that what they
are judged by in the end was not used to choose among them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import fmean

from tronie.errors import BadInput
from tronie.lab.training.redistribute import space
from tronie.lab.training.redistribute.candidate import Job
from tronie.lab.training.redistribute.chart import share_chart
from tronie.lab.training.redistribute.findings import Finding, Judged, best_of, findings
from tronie.lab.training.redistribute.opening import candidate_layout, drawn, opened
from tronie.lab.training.redistribute.recipe import RedistributionRecipe, proxy_of
from tronie.lab.training.redistribute.search_folder import (
    CHART,
    Asked,
    Candidate,
    candidate_folder,
    read_result,
    write_asked,
    write_table,
)
from tronie.lab.training.redistribute.workers import Process, Running, Start
from tronie.lab.training.whole_file import write_whole

FAILURES = 3
"""In a row, after which a search ends."""
_LOOK_S = 0.05


@dataclass(frozen=True, kw_only=True)
class Told:
    """A candidate that is done, or failed, and where the search is."""

    candidate: Candidate
    score: float | None
    fault: str
    """Why it has no score; "" where it has one."""
    best: Judged | None
    done: int
    """Candidates that are judged, of both steps."""
    count: int
    """Of both steps, as far as is known."""
    remaining_s: float
    """To the end of the search, if the others take as long."""
    left_s: float | None
    """Of the time it was given; None where it was given all."""


@dataclass(frozen=True, kw_only=True)
class Found:
    """How a search stands when it ends."""

    judged: tuple[Judged, ...]
    findings: tuple[Finding, ...]
    failed: Mapping[str, str]
    """Why, by the key of a candidate; a later call tries them again."""
    left: int
    """Candidates that there was no time for."""
    trained_by: str
    """The recipe that the winner should be trained by in full."""

    @property
    def best(self) -> Judged | None:
        """The winner so far."""
        return best_of(self.judged)


Progress = Callable[[Told], None]
Announce = Callable[[str], None]


def redistribute(
    name: str,
    recipe: RedistributionRecipe,
    *,
    data: Path,
    out: Path,
    changes: Sequence[str] = (),
    budget_s: float | None = None,
    workers: int = 1,
    start: Start = Process,
    progress: Progress | None = None,
    announce: Announce | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Found:
    """Search, from the beginning or from where it was ended.

    Args:
        name: Of the recipe.
        recipe: Of a search that goes on only the name counts: it is held to its own.
        data: Photographs and labels.
        out: Folder of the search, new or begun.
        changes: Settings to be changed, `name=value` each; once begun only those of MAY_CHANGE.
        budget_s: Time for this call; None: as long as it takes.
        workers: Candidates that are trained at once.
        start: Begins to train one.
        progress: Called when a candidate is done.
        announce: Called with a sentence for what is out of the ordinary.

    Raises:
        NotFound: a name or the data are not there.
        BadInput: settings, data or folder cannot be used, or candidates fail one after another.
        BadFile: the folder's files are damaged.
        NotEnoughData: no network meets the budget.
    """
    if workers < 1:
        raise BadInput(f"candidates are trained by 1 worker or more; got {workers}")
    deadline = None if budget_s is None else clock() + budget_s
    with opened(name, recipe, changes, data=data, out=out) as asked:
        search = _Search(asked, data, out, workers, start, deadline, clock, progress, announce)
        return search.to_the_end()


class _Search:
    """One call."""

    def __init__(
        self,
        asked: Asked,
        data: Path,
        folder: Path,
        workers: int,
        start: Start,
        deadline: float | None,
        clock: Callable[[], float],
        progress: Progress | None,
        announce: Announce | None,
    ) -> None:
        self._asked, self._data, self._folder = asked, data, folder
        self._workers, self._start = workers, start
        self._deadline, self._clock = deadline, clock
        self._progress, self._announce = progress, announce or (lambda _: None)
        self._judged: dict[str, Judged] = {}
        self._failed: dict[str, str] = {}
        self._in_a_row = 0
        self._took: list[float] = []

    def to_the_end(self) -> Found:
        self._write()
        self._read(1)
        self._read(2)
        if self._train(1) and self._asked.recipe.networks:
            self._draw_networks()
            self._train(2)
        recipe = self._asked.recipe
        found = Found(
            judged=self._in_order(),
            findings=findings(self._in_order(), draws=recipe.bootstrap_draws, seed=recipe.seed),
            failed=self._failed,
            left=self._count() - len(self._judged) - len(self._failed),
            trained_by=recipe.trained_by,
        )
        self._write(found)
        if found.findings:
            write_whole(self._folder / CHART, share_chart(found.findings, title=self._asked.name))
        return found

    def _read(self, step: int) -> None:
        for candidate in self._asked.candidates(step):
            result = read_result(self._folder, candidate)
            if result is not None:
                self._judged[candidate.key] = (candidate, result)

    def _draw_networks(self) -> None:
        """Step 2's candidates, around the best of step 1 or the one it was begun around."""
        asked = self._asked
        best = best_of([one for one in self._in_order() if one[0].step == 1])
        template = asked.template or (best[0].detector if best else "")
        if not template:
            return
        layout = candidate_layout(template)
        asked = replace(asked, template=template)
        networks = drawn(asked, space.networks(layout), 2, template=layout)
        if len(networks) < asked.recipe.networks:
            self._announce(
                f"step 2 has only {len(networks)} of {asked.recipe.networks} candidates: around "
                f"{template} no more new ones were drawn that meet the budget and keep its ratios"
            )
        self._asked = replace(asked, networks=networks)
        self._write()
        self._read(2)

    def _train(self, step: int) -> bool:
        """Train what is not judged yet; whether all of it was tried."""
        waiting = [c for c in self._asked.candidates(step) if c.key not in self._judged]
        waiting.sort(key=lambda c: c.key in self._asked.failed)  # those that failed before, last
        running: dict[Candidate, tuple[Running, float]] = {}
        try:
            while waiting or running:
                while waiting and len(running) < self._workers and self._has_time():
                    candidate = waiting.pop(0)
                    running[candidate] = (self._start(self._job(candidate)), self._clock())
                if not running or self._is_over():
                    break
                faults = {
                    c: fault
                    for c, (one, _) in running.items()
                    if (fault := one.fault()) is not None
                }
                for candidate, fault in faults.items():
                    _, began = running.pop(candidate)
                    self._settle(candidate, fault, self._clock() - began)
                if not faults:
                    time.sleep(_LOOK_S)
        finally:
            for one, _ in running.values():
                one.end()
        return not waiting and not running

    def _job(self, candidate: Candidate) -> Job:
        asked = self._asked
        return Job(
            name=asked.name,
            recipe=proxy_of(asked.recipe, candidate.detector, images=asked.images),
            data=self._data,
            run=candidate_folder(self._folder, candidate),
            score=asked.recipe.score,
        )

    def _settle(self, candidate: Candidate, fault: str, took: float) -> None:
        """Take down what became of a candidate."""
        result = None if fault else read_result(self._folder, candidate)
        if result is None:
            self._failed[candidate.key] = fault or "it left no result"
            # One that failed before may fail for ever, and says nothing of the others.
            self._in_a_row += candidate.key not in self._asked.failed
        else:
            self._judged[candidate.key] = (candidate, result)
            self._failed.pop(candidate.key, None)
            self._in_a_row = 0
            self._took.append(took)
        self._write()
        if self._progress is not None:
            self._progress(self._told(candidate, result.score if result else None))
        if self._in_a_row >= FAILURES:
            raise BadInput(
                f"{FAILURES} candidates in a row came to nothing, the last of them "
                f"{candidate.detector}: {self._failed[candidate.key]}"
            )

    def _told(self, candidate: Candidate, score: float | None) -> Told:
        left = self._count() - len(self._judged) - len(self._failed)
        return Told(
            candidate=candidate,
            score=score,
            fault=self._failed.get(candidate.key, ""),
            best=best_of(self._in_order()),
            done=len(self._judged),
            count=self._count(),
            remaining_s=left * self._typical_s() / self._workers,
            left_s=None if self._deadline is None else max(0.0, self._deadline - self._clock()),
        )

    def _count(self) -> int:
        """Candidates of both steps; of step 2, before it is drawn, as many as are asked for."""
        asked = self._asked
        second = len(asked.candidates(2)) if asked.template else asked.recipe.networks
        return len(asked.candidates(1)) + second

    def _typical_s(self) -> float:
        """What a candidate takes; 0 where none was judged."""
        known = self._took or [result.seconds for _, result in self._judged.values()]
        return fmean(known) if known else 0.0

    def _has_time(self) -> bool:
        return self._deadline is None or self._clock() + self._typical_s() < self._deadline

    def _is_over(self) -> bool:
        return self._deadline is not None and self._clock() >= self._deadline

    def _in_order(self) -> tuple[Judged, ...]:
        return tuple(self._judged[key] for key in sorted(self._judged))

    def _untried(self) -> list[str]:
        """Candidates that failed in an earlier call and were not tried again in this one."""
        return sorted(self._asked.failed - self._judged.keys() - self._failed.keys())

    def _write(self, found: Found | None = None) -> None:
        """The table, and search.json with what is known by now."""
        judged = self._in_order()
        best = best_of(judged)
        known: dict[str, object] = {
            "judged": len(judged),
            "count": self._count(),
            "best": None
            if best is None
            else {"detector": best[0].detector, "score": best[1].score},
            "failed": {**dict.fromkeys(self._untried(), "an earlier call"), **self._failed},
        }
        if found is not None:
            known["best_shares"] = [
                {"step": one.step, "part": one.part, **asdict(one.best)}
                for one in found.findings
                if one.best is not None
            ]
        write_table(self._folder, judged)
        write_asked(self._folder, self._asked, known)
