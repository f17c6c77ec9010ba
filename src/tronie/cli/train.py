"""train: a network, from a recipe and a folder of data, in one process or under torchrun.

Under torchrun every process runs this verb; the first alone speaks, but for a fault of another's
own. A run that was ended at any moment goes on by `tronie train --resume RUN`.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tronie.cli import options
from tronie.cli.needs_torch import torch_needed
from tronie.cli.terminal import number_of, print_json, print_table, say, span, tell
from tronie.errors import BadFile, BadImage, BadInput, TronieError

if TYPE_CHECKING:  # for the checker only: torch need not be here
    from tronie.lab.training.distributed import Place
    from tronie.lab.training.loop import Outcome, Told
    from tronie.lab.training.runs import Run


def train(
    recipe: Annotated[
        str,
        typer.Argument(metavar="RECIPE", help="A recipe, or the folder of a run to be repeated."),
    ] = "",
    *,
    data: Annotated[
        Path | None,
        typer.Option(
            "--data",
            metavar="DIR",
            help="For recognizers one folder per identity, a RecordIO archive, or shards of tronie "
            "pack; for detectors photographs and their labels.",
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="RUN", help="The folder of a new run.")
    ] = None,
    resume: Annotated[
        Path | None,
        typer.Option("--resume", metavar="RUN", help="Go on from the last checkpoint of a run."),
    ] = None,
    changes: options.Changes = None,
    json: options.Json = False,
) -> None:
    """Train a recognizer or a detector on a folder of faces.

    tronie list recipes names what there is; tronie show RECIPE prints what it costs and promises.
    Settings are those of the recipe's fields: --set schedule.peak_lr=0.02 --set margin=cosface
    --set margin.margin=0.4, or for a detector --set data.sizes=320 --set validation.truth=DIR.

    A detector learns from photographs and a file labels.txt: a line "# PHOTO" for each, then
    "x1 y1 x2 y2" for each of its faces, in pixels, with five points x y behind them where they are
    known. It is judged by the share of the photographs that data.held_out keeps, or by WIDER FACE.

    RUN holds the resolved recipe, the log (log.jsonl, and TensorBoard's files), checkpoints and
    Reports. A resumed run does what it would have done had it never been ended, on any number of
    processes.
    """
    _expect_one_way(recipe, data, out, resume)
    _train(recipe, data, out, resume, changes=tuple(changes or ()), json=json)


def _train(
    recipe: str,
    data: Path | None,
    out: Path | None,
    resume: Path | None,
    *,
    changes: tuple[str, ...],
    json: bool,
) -> None:
    with torch_needed("tronie train"):
        from tronie.lab.training.distributed import start
        from tronie.lab.training.run_folder import find_recipe
        from tronie.lab.training.runs import begin, go_on
    with _one_voice(), start() as place:
        first = place.rank == 0
        if resume is not None:
            named = find_recipe(recipe) if recipe else None
            opened = go_on(resume, place=place, data=data, changes=changes, recipe=named)
        else:
            assert data is not None
            assert out is not None
            opened = begin(find_recipe(recipe), data=data, out=out, place=place, changes=changes)
        with opened as run:
            if first:
                _tell_beginning(run, place, json=json)
            outcome = run.train(
                progress=(lambda told: _tell(told, json=json)) if first else None,
                announce=say if first else None,
                judged=(lambda *told: _tell_judged(run, *told, json=json)) if first else None,
            )
            if first:
                _tell_end(run, outcome, json=json)


def _expect_one_way(recipe: str, data: Path | None, out: Path | None, resume: Path | None) -> None:
    if resume is not None:
        if out is not None:
            raise BadInput("--resume goes on in the folder of the run; leave --out away")
        return
    if not recipe:
        raise BadInput("name a recipe (tronie list recipes), or a run to go on with: --resume RUN")
    for option, value in (("--data DIR", data), ("--out RUN", out)):
        if value is None:
            raise BadInput(f"a new run needs {option}; or go on with one by --resume RUN")


@contextmanager
def _one_voice() -> Iterator[None]:
    """A process that is not the first tells only what the first cannot know.

    What is asked of them and how a run goes, all see alike. A file that one of them cannot read is
    its own affair; that the others are gone is told by whoever is left.
    """
    number = os.environ.get("RANK", "0")
    try:
        yield
    except (BadFile, BadImage) as fault:
        if number == "0":
            raise
        raise type(fault)(f"process {number}: {fault}") from fault
    except TronieError as fault:
        if number == "0" or type(fault) is TronieError:
            raise
        raise typer.Exit(fault.exit_code) from fault


def _tell_beginning(run: Run, place: Place, *, json: bool) -> None:
    where = number_of(place.ranks, "process", "processes") + f" on {place.device.type}"
    if json:
        print_json(
            {
                "run": run.folder,
                "recipe": run.named.name,
                **run.data.counts,
                "steps": run.steps,
                "done": run.done,
                "changed": list(run.changed),
                "processes": place.ranks,
                "device": place.device.type,
                "memory_bytes": dict(run.memory),
            }
        )
        return
    tell(
        f"{run.named.name}: {run.data.told}, {run.steps} steps in {where}; the run is {run.folder}"
    )
    for change in run.changed:
        tell(f"changed: {change}")
    if run.done:
        tell(f"goes on after step {run.done}")
    rows = [(what, _size(size)) for what, size in run.memory.items()]
    print_table(
        ("memory of each process", "size"), [*rows, ("in all", _size(sum(run.memory.values())))]
    )
    tell("activations of the network come on top")


def _tell(told: Told, *, json: bool) -> None:
    if json:
        print_json(vars(told))
        return
    tell(
        f"step {told.step} of {told.steps}  epoch {told.epoch:.2f}  loss {_loss(told.loss)}  "
        f"lr {told.lr:.3g}  {_pace(told.images_per_s)} images/s  {span(told.remaining_s)} left"
    )


def _tell_judged(run: Run, step: int, numbers: Mapping[str, float], *, json: bool) -> None:
    """A validation on the way; that of the last step is told at the end."""
    if step == run.steps:
        return
    if json:
        print_json({"step": step, "validation": dict(numbers)})
        return
    found = ", ".join(f"{name} {value:.5f}" for name, value in numbers.items())
    tell(f"step {step} of {run.steps}  {run.measure}: {found}")


def _tell_end(run: Run, outcome: Outcome, *, json: bool) -> None:
    left_out, images = _unreadable(run.folder)
    if json:
        print_json(
            {
                "steps": outcome.steps,
                "loss": outcome.loss,
                "skipped": outcome.skipped,
                "unreadable": left_out,
                "unreadable_images": images,
                "seconds": outcome.seconds,
                "validation": dict(outcome.validation),
            }
        )
        return
    for name, value in outcome.validation.items():
        tell(f"{name}: {run.measure} {value:.5f}")
    if left_out:
        count = number_of(left_out, "image could", "images could")
        tell(f"{count} not be read, and others were taken instead:")
        for image in images:
            tell(f"  {image}")
        if left_out > len(images):
            tell(f"  and {left_out - len(images)} more")
    if outcome.skipped:
        skipped = f"{outcome.skipped} of {number_of(outcome.steps, 'step was', 'steps were')}"
        tell(f"{skipped} skipped: no finite loss or gradient")
    export = f"next: tronie export {shlex.quote(str(run.folder))} --out model.onnx"
    steps = number_of(outcome.steps, "step", "steps")
    if run.done >= run.steps:
        tell(f"the run was done: all {steps}; {export}")
    else:
        tell(f"done: {steps}, loss {_loss(outcome.loss)}, in {span(outcome.seconds)}; {export}")


def _unreadable(folder: Path) -> tuple[int, list[str]]:
    """Images that gave way to others since the run was begun, and the first, as the log tells."""
    from tronie.lab.training.run_log import read_log

    lines = read_log(folder)[::-1]
    count = next((line["unreadable"] for line in lines if "unreadable" in line), 0)
    named = (line["unreadable_images"] for line in lines if "unreadable_images" in line)
    return int(count), next(named, [])


def _loss(value: float) -> str:
    return f"{value:.4f}" if not abs(value) >= 1e6 else f"{value:.4g}"  # and NaN as it is


def _pace(images_per_s: float) -> str:
    return f"{images_per_s:.0f}" if images_per_s >= 10 else f"{images_per_s:.2g}"


def _size(count: int) -> str:
    size = float(count)
    for unit in ("B", "KiB", "MiB"):
        if size < 1024:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.2f} GiB"
