"""redistribute: search for a detector under a budget of FLOPs, or for crops to train it with."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tronie.cli import options
from tronie.cli.found_scales import tell_scales
from tronie.cli.needs_torch import torch_needed
from tronie.cli.terminal import number_of, print_json, print_table, say, span, tell
from tronie.errors import BadInput

if TYPE_CHECKING:  # for the checker only: torch need not be here
    from tronie.lab.training.redistribute.recipe import RedistributionRecipe
    from tronie.lab.training.redistribute.search import Found, Told

TOP = 5
"""Candidates that the table at the end shows."""


def redistribute(
    recipe: Annotated[
        str, typer.Argument(metavar="RECIPE", help="A search, as detection/redistribute_500m.")
    ],
    *,
    data: Annotated[
        Path,
        typer.Option(
            "--data", metavar="DIR", help="Photographs and their labels, as for tronie train."
        ),
    ],
    out: Annotated[
        Path,
        typer.Option("--out", metavar="RUN", help="The folder of the search, new or begun."),
    ],
    budget_minutes: Annotated[
        float | None,
        typer.Option(
            "--budget-minutes",
            metavar="MINUTES",
            min=0.0,
            help="Time for this call; without, as long as it takes.",
        ),
    ] = None,
    workers: Annotated[
        int,
        typer.Option(
            "--workers", metavar="N", min=1, max=1024, help="Networks at once, one core each."
        ),
    ] = 1,
    changes: options.Changes = None,
    json: options.Json = False,
) -> None:
    """Search for a detector that fits a budget of FLOPs, or for the crops to train it with.

    detection/redistribute_samples finds, from labels alone and in seconds, scales of crops whose
    faces are as large as those to be found. RUN gets scales.csv, scales.json and scales.svg, and
    is written anew each time.

    Every other search is for a network. Step 1 draws backbones, step 2 whole networks around the
    best of them. Each is trained for as many steps and judged on photographs that none is trained
    on. RUN gets candidates.csv, a line for each, search.json and search.svg, score against share
    of the computation.

    When the time is over, or after it was ended in any way, the same command goes on with it: no
    candidate that is done is trained again. Each call has the time of --budget-minutes.
    """
    with torch_needed("tronie redistribute"):
        from tronie.lab.training.redistribute.samples import SampleRecipe, find_scales
        from tronie.lab.training.redistribute.search import redistribute as searched
        from tronie.lab.training.run_folder import find_recipe
    named = find_recipe(recipe)
    if isinstance(named.recipe, SampleRecipe):
        if budget_minutes is not None or workers > 1:
            say("a search for crops takes seconds; --budget-minutes and --workers change nothing")
        scales = find_scales(named.name, named.recipe, data=data, out=out, changes=changes or ())
        tell_scales(scales, data=data, out=out, json=json)
        return
    found = searched(
        named.name,
        _as_search(named.name, named.recipe),
        data=data,
        out=out,
        changes=tuple(changes or ()),
        budget_s=None if budget_minutes is None else 60 * budget_minutes,
        workers=workers,
        progress=lambda told: _tell(told, json=json),
        announce=say,
    )
    _tell_end(found, data=data, out=out, json=json)


def _as_search(name: str, recipe: object) -> RedistributionRecipe:
    from tronie.lab.training.redistribute.recipe import RedistributionRecipe

    if isinstance(recipe, RedistributionRecipe):
        return recipe
    raise BadInput(
        f"{name} trains one network and searches for none; run tronie train {name} --data DIR "
        "--out RUN, or name a search, as detection/redistribute_500m"
    )


def _tell(told: Told, *, json: bool) -> None:
    candidate, best = told.candidate, told.best
    if json:
        print_json(
            {
                "candidate": candidate.key,
                "detector": candidate.detector,
                "score": told.score,
                "fault": told.fault,
                "best": None if best is None else best[0].detector,
                "best_score": None if best is None else best[1].score,
                "done": told.done,
                "count": told.count,
                "remaining_s": told.remaining_s,
                "left_s": told.left_s,
            }
        )
        return
    if told.score is None:
        say(f"{candidate.key} {candidate.detector} came to nothing: {told.fault}")
        return
    is_best = best is not None and best[0] == candidate
    beside = "" if best is None or is_best else f" (best {best[1].score:.4f})"
    time_left = "" if told.left_s is None else f" of {span(told.left_s)}"
    tell(
        f"{told.done} of {told.count}  step {candidate.step}  score {told.score:.4f}"
        f"{', the best so far' if is_best else beside}  {candidate.detector}  "
        f"{span(told.remaining_s)}{time_left} left"
    )


def _tell_end(found: Found, *, data: Path, out: Path, json: bool) -> None:
    best, command = found.best, None
    if best is not None:
        words = ["tronie", "train", found.trained_by, "--data", str(data)]
        winner = ["--out", f"{out}-winner", "--set", f"detector={best[0].detector}"]
        command = shlex.join([*words, *winner])
    if json:
        print_json(
            {
                "judged": len(found.judged),
                "left": found.left,
                "failed": dict(found.failed),
                "best": None if best is None else best[0].detector,
                "best_score": None if best is None else best[1].score,
                "best_shares": _shares(found),
                "folder": out,
                "next": command,
            }
        )
        return
    if best is None:
        tell("no candidate is judged yet; give it more time: the same command goes on")
        return
    _print_tables(found)
    tell(f"{out} holds all {len(found.judged)} candidates in candidates.csv and search.svg")
    if found.left or found.failed:
        left = number_of(found.left, "candidate is left", "candidates are left")
        tell(f"{left}, {len(found.failed)} came to nothing: the same command goes on")
    tell(f"winner: {best[0].detector}, score {best[1].score:.4f}")
    tell(f"next: {command}")


def _print_tables(found: Found) -> None:
    """The best candidates, and where the best shares lie."""
    from tronie.lab.training.redistribute.search_folder import table_rows

    order = sorted(found.judged, key=lambda one: -one[1].score)
    print_table(
        ("candidate", "score", "GFLOPs", "parameters", "detector"),
        [
            (
                row["candidate"],
                f"{row['score']:.4f}",
                f"{float(row['flops']) / 1e9:.4f}",
                row["parameters"],
                row["detector"],
            )
            for row in table_rows(order[:TOP])
        ],
    )
    shares = _shares(found)
    if shares:
        print_table(
            ("step", "part", "best share", "range"),
            [
                (
                    one["step"],
                    one["part"],
                    f"{one['median']:.1%}",
                    f"{one['low']:.1%} to {one['high']:.1%}",
                )
                for one in shares
            ],
        )


def _shares(found: Found) -> list[dict[str, Any]]:
    return [
        {"step": one.step, "part": one.part, **vars(one.best)}
        for one in found.findings
        if one.best is not None
    ]
