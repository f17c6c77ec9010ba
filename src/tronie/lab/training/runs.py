"""A run from its beginning or its last checkpoint to its end, in one process or several.

    with begin(named, data=..., out=..., place=...) as run:      # or go_on(folder, ...)
        run.memory                                               # bytes, before the first step
        run.train(progress=...)

A run that goes on is held to its own recipe. Settings of `recipe.MAY_CHANGE` may be given other
values, which are told, written down with their step, and hold from then on; any other difference
is listed and refused. Its data must be those it began with: as many images, of the same classes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from tronie.errors import BadInput
from tronie.lab.training.checkpoint import StoredState, checkpoints, newest_checkpoint
from tronie.lab.training.distributed import Place
from tronie.lab.training.loop import CHECKPOINTS, Announce, Judge, Outcome, Pace, Progress, Task
from tronie.lab.training.loop import run as run_loop
from tronie.lab.training.recipe import Recipe, fixed_differences
from tronie.lab.training.run_folder import (
    DataFacts,
    NamedRecipe,
    begin_folder,
    expect_free,
    held,
    read_classes,
    read_facts,
    read_recipe,
    write_recipe,
)
from tronie.lab.training.settings import check_entries, differences, override
from tronie.lab.training.together import first_alone
from tronie.lab.training.trade import Asked, Opened
from tronie.lab.training.trades import trade_of
from tronie.lab.training.trained import load_trained

__all__ = ["Run", "begin", "go_on", "load_trained", "steps_of"]


@dataclass(frozen=True, eq=False, kw_only=True)
class Run:
    """A run that is ready; nothing is computed yet."""

    folder: Path
    named: NamedRecipe
    data: Opened
    measure: str
    """What a number of its validation is."""
    steps: int
    """Of the whole run."""
    done: int
    """Steps that were done before."""
    changed: tuple[str, ...]
    """Settings that differ from those it was begun with."""
    memory: Mapping[str, int]
    """Bytes in each process, by what they are for."""
    assumed: tuple[str, ...]
    """What a teacher's file does not state, one sentence each."""
    notes: tuple[str, ...]
    """What else should be known before it begins, one sentence each."""
    _task: Task
    _pace: Pace
    _place: Place
    _stored: StoredState | None
    _write_down: Callable[[], None] | None
    """What is changed in the folder once all that was stored is taken over, and not before."""

    def train(
        self,
        *,
        progress: Progress | None = None,
        announce: Announce | None = None,
        judged: Judge | None = None,
    ) -> Outcome:
        """To the end; see `tronie.lab.training.loop.run`."""
        if announce is not None:
            for words in self.assumed:
                announce(f"assumed: {words}")
            for words in self.notes:
                announce(words)
        return run_loop(
            self._task,
            self._pace,
            self.folder,
            device=self._place.device,
            stored=self._stored,
            progress=progress,
            announce=announce,
            judged=judged,
            ready=self._write_down,
        )


@contextmanager
def begin(
    named: NamedRecipe, *, data: Path, out: Path, place: Place, changes: Sequence[str] = ()
) -> Iterator[Run]:
    """A new run; every process calls this.

    Args:
        named: The recipe.
        data: The images, and what it is judged by.
        out: A folder that is not there yet, or empty. It becomes a run when everything else is
            ready: what is refused leaves it free.
        place: Where this process is.
        changes: Settings of the recipe to be changed, `name=value` each.

    Raises:
        NotFound: something that the recipe or a change names is not there.
        BadInput: a setting, the data or the folder cannot be used.
    """
    trade = trade_of(named)
    recipe = override(named.recipe, changes)
    check_entries(recipe)
    trade.expect(named.name, recipe)
    named = NamedRecipe(name=named.name, recipe=recipe)
    with ExitStack() as closing:
        with _held_by_first(out, closing) as mine:
            if mine:
                expect_free(out)
        opened = trade.open(recipe, data, closing)
        notes = _checked(named, opened, data)
        facts = DataFacts(
            folder=str(data.resolve()),
            images=opened.images,
            classes=len(opened.classes),
            fingerprint=opened.fingerprint,
        )
        run = _ready(
            named, opened, data=data, folder=out, place=place, closing=closing, notes=notes
        )
        with first_alone(f"{out} cannot be used") as mine:
            if mine:
                begin_folder(out, named, facts, opened.classes)
        yield run


@contextmanager
def go_on(
    folder: Path,
    *,
    place: Place,
    data: Path | None = None,
    changes: Sequence[str] = (),
    recipe: NamedRecipe | None = None,
) -> Iterator[Run]:
    """A run from its last checkpoint; every process calls this.

    Args:
        folder: Of the run.
        place: Where this process is; others may be many more or fewer than before.
        data: Where the images are now; None: where they were.
        changes: Settings to be changed; see the head of this file.
        recipe: What the caller takes the run to be; refused if it is not.

    Raises:
        NotFound: there is no run, or its data are not there.
        BadInput: the recipe or the data differ, or a setting cannot be changed any more.
        BadFile: the folder's files are damaged.
    """
    named = read_recipe(folder)
    if recipe is not None:
        _expect_same_recipe(folder, named, recipe)
    trade = trade_of(named)
    new = override(named.recipe, changes)
    check_entries(new)
    if fixed := fixed_differences(named.recipe, new):
        raise BadInput(
            f"{folder} cannot go on with {'; '.join(fixed)}: its weights were made without. "
            "Begin another run, if need be with start_from"
        )
    facts = read_facts(folder)
    at = data or Path(facts.folder)
    with ExitStack() as closing:
        opened = trade.open(new, at, closing)
        _expect_same_data(opened, facts, read_classes(folder), at)
        notes = _checked(replace(named, recipe=new), opened, at)
        changed = tuple(differences(named.recipe, new))
        with _held_by_first(folder, closing):
            stored = _newest(folder)
        if changed:
            told = {"step": stored.step if stored else 0, "differences": list(changed)}
            named = replace(named, recipe=new, changes=(*named.changes, told))

        def write_down() -> None:
            with first_alone(f"{folder} cannot be used") as mine:
                if mine and changed:
                    write_recipe(folder, named)

        yield _ready(
            named,
            opened,
            data=at,
            folder=folder,
            place=place,
            closing=closing,
            stored=stored,
            changed=changed,
            notes=notes,
            write_down=write_down,
        )


def steps_of(recipe: Recipe, images: int) -> int:
    """Steps of a run over so many images; the last batch is filled up from the next epoch."""
    return max(1, math.ceil(recipe.epochs * images / recipe.batch_size))


def _ready(
    named: NamedRecipe,
    opened: Opened,
    *,
    data: Path,
    folder: Path,
    place: Place,
    closing: ExitStack,
    stored: StoredState | None = None,
    changed: tuple[str, ...] = (),
    notes: tuple[str, ...] = (),
    write_down: Callable[[], None] | None = None,
) -> Run:
    recipe, trade = named.recipe, trade_of(named)
    made = trade.make(
        Asked(
            recipe=recipe,
            opened=opened,
            data=data,
            folder=folder,
            place=place,
            closing=closing,
            is_new=stored is None,
        )
    )
    steps = steps_of(recipe, opened.images)
    return Run(
        folder=folder,
        named=named,
        data=opened,
        measure=trade.measure,
        steps=steps,
        done=stored.step if stored else 0,
        changed=changed,
        memory=made.memory,
        assumed=made.assumed,
        _task=made.task,
        _pace=_pace(recipe, steps=steps, images=opened.images),
        _place=place,
        notes=(*notes, *_about_rates(recipe)),
        _stored=stored,
        _write_down=write_down,
    )


def _pace(recipe: Recipe, *, steps: int, images: int) -> Pace:
    return Pace(
        steps=steps,
        steps_per_epoch=images / recipe.batch_size,
        images_per_step=recipe.batch_size,
        schedule=recipe.schedule,
        optimizer=recipe.optimizer,
        precision=recipe.precision,
        seed=recipe.seed,
        bad_steps=recipe.bad_steps,
        log_every=recipe.log_every,
        checkpoint=recipe.checkpoint,
        validate_every=recipe.validation.every_steps,
    )


@contextmanager
def _held_by_first(folder: Path, closing: ExitStack) -> Iterator[bool]:
    """Process 0 holds the folder to the end of the run, and does what is inside alone."""
    with first_alone(f"{folder} cannot be used") as mine:
        if mine:
            closing.enter_context(held(folder))
        yield mine


def _checked(named: NamedRecipe, opened: Opened, data: Path) -> tuple[str, ...]:
    """What is to be told of validation; process 0 reads, and all leave together."""
    notes: tuple[str, ...] = ()
    with first_alone("validation cannot begin") as mine:
        if mine:
            notes = trade_of(named).check(named.recipe, opened, data)
    return notes


def _about_rates(recipe: Recipe) -> tuple[str, ...]:
    warm = recipe.schedule.warmup_epochs
    if warm <= recipe.epochs:
        return ()
    return (
        f"schedule.warmup_epochs is {warm:g} and epochs {recipe.epochs:g}: the rate rises to the "
        f"end and reaches {recipe.epochs / warm:.0%} of schedule.peak_lr",
    )


def _newest(folder: Path) -> StoredState | None:
    """None where a run was ended before its first checkpoint, and begins again."""
    at = folder / CHECKPOINTS
    return newest_checkpoint(at) if checkpoints(at) else None


def _expect_same_recipe(folder: Path, named: NamedRecipe, asked: NamedRecipe) -> None:
    if type(named.recipe) is not type(asked.recipe):
        found = ""
    elif other := differences(named.recipe, asked.recipe):
        found = f" as it stands: {'; '.join(other)}"
    else:
        return
    raise BadInput(
        f"{folder} is a run of {named.name} and not of {asked.name}{found}. Leave the recipe out, "
        "or begin another run"
    )


def _expect_same_data(
    opened: Opened, facts: DataFacts, classes: tuple[str, ...], folder: Path
) -> None:
    if opened.fingerprint == facts.fingerprint:
        return
    was, now = facts.images, opened.images
    told = [f"{was} images are now {now}"] if was != now else []
    for what, names in (
        ("new", set(opened.classes) - set(classes)),
        ("gone", set(classes) - set(opened.classes)),
    ):
        if names:
            are = "class is" if len(names) == 1 else "classes are"
            told.append(f"{len(names)} {are} {what}, such as {min(names)!r}")
    raise BadInput(
        f"{folder} is not what this run was begun with: {'; '.join(told) or 'labels differ'}. "
        "Restore it, or begin another run with start_from"
    )
