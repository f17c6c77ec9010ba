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
from tronie.lab.training.loaders import Loader
from tronie.lab.training.loop import CHECKPOINTS, Announce, Outcome, Pace, Progress
from tronie.lab.training.loop import run as run_loop
from tronie.lab.training.recipe import RecognitionRecipe, fixed_differences
from tronie.lab.training.recognition import (
    EmbedCrops,
    Recognition,
    augmentation,
    load_backbone,
    memory_plan,
)
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
from tronie.lab.training.sources import Source, open_source
from tronie.lab.training.together import first_alone
from tronie.lab.training.trained import last_checkpoint, load_trained, teaching_of
from tronie.lab.training.validation import check_validation, validate

__all__ = ["Run", "begin", "go_on", "load_trained", "steps_of"]


@dataclass(frozen=True, eq=False, kw_only=True)
class Run:
    """A run that is ready; nothing is computed yet."""

    folder: Path
    named: NamedRecipe
    source: Source
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
    _task: Recognition
    _pace: Pace
    _place: Place
    _stored: StoredState | None
    _write_down: Callable[[], None] | None
    """What is changed in the folder once all that was stored is taken over, and not before."""

    def train(
        self, *, progress: Progress | None = None, announce: Announce | None = None
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
    recipe = override(named.recipe, changes)
    check_entries(recipe)
    if recipe.teacher.is_heard and not recipe.teacher.is_named:
        raise BadInput(
            f"{named.name} learns from a teacher and names none; set teacher.run to the folder of "
            "a run, or teacher.model to an ONNX file"
        )
    named = NamedRecipe(name=named.name, recipe=recipe)
    with ExitStack() as closing:
        with _held_by_first(out, closing) as mine:
            if mine:
                expect_free(out)
        source = open_source(data, recipe.data, closing=closing)
        notes = _checked_validation(recipe, data)
        facts = DataFacts(
            folder=str(data.resolve()),
            images=len(source),
            classes=len(source.classes),
            fingerprint=source.fingerprint(),
        )
        run = _ready(
            named, source, data=data, folder=out, place=place, closing=closing, notes=notes
        )
        with first_alone(f"{out} cannot be used") as mine:
            if mine:
                begin_folder(out, named, facts, source.classes)
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
    if recipe is not None and (other := differences(named.recipe, recipe.recipe)):
        raise BadInput(
            f"{folder} is a run of {named.name} and not of {recipe.name} as it stands: "
            f"{'; '.join(other)}. Leave the recipe out, or begin another run"
        )
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
        source = open_source(at, new.data, closing=closing)
        _expect_same_data(source, facts, read_classes(folder), at)
        notes = _checked_validation(new, at)
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
            source,
            data=at,
            folder=folder,
            place=place,
            closing=closing,
            stored=stored,
            changed=changed,
            notes=notes,
            write_down=write_down,
        )


def steps_of(recipe: RecognitionRecipe, images: int) -> int:
    """Steps of a run over so many images; the last batch is filled up from the next epoch."""
    return max(1, math.ceil(recipe.epochs * images / recipe.batch_size))


def _ready(
    named: NamedRecipe,
    source: Source,
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
    recipe = named.recipe
    _expect_room_for_statistics(recipe, place)
    loader = closing.enter_context(_loader(recipe, source, place))
    judged = recipe.validation

    def judge(step: int, embed: EmbedCrops) -> Mapping[str, float]:
        skip = recipe.data.unreadable == "skip"
        return validate(judged, data, folder, step, embed, skip_unreadable=skip)

    teaching = teaching_of(recipe, source, place)
    task = Recognition(
        recipe,
        loader,
        device=place.device,
        teaching=teaching,
        validate=judge if judged.bins or judged.pairs else None,
    )
    closing.callback(task.close)
    if recipe.start_from and stored is None:
        load_backbone(task.backbone, last_checkpoint(recipe.start_from, asked_by="start_from: "))
    steps = steps_of(recipe, len(source))
    return Run(
        folder=folder,
        named=named,
        source=source,
        steps=steps,
        done=stored.step if stored else 0,
        changed=changed,
        memory=memory_plan(recipe, task.backbone, task.head),
        assumed=teaching.assumed if teaching is not None else (),
        _task=task,
        _pace=_pace(recipe, steps=steps, images=len(source)),
        _place=place,
        notes=(*notes, *_about_rates(recipe)),
        _stored=stored,
        _write_down=write_down,
    )


def _loader(recipe: RecognitionRecipe, source: Source, place: Place) -> Loader:
    return Loader(
        source,
        batch_size=recipe.batch_size,
        parts=recipe.accumulate,
        seed=recipe.seed,
        rank=place.rank,
        ranks=place.ranks,
        augment=augmentation(recipe.data, seed=recipe.seed),
        skip_unreadable=recipe.data.unreadable == "skip",
        threads=recipe.data.threads,
        together=recipe.data.together,
    )


def _pace(recipe: RecognitionRecipe, *, steps: int, images: int) -> Pace:
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


def _checked_validation(recipe: RecognitionRecipe, data: Path) -> tuple[str, ...]:
    """What `check_validation` has to tell; process 0 reads, and all leave together."""
    notes: tuple[str, ...] = ()
    with first_alone("validation cannot begin") as mine:
        if mine:
            skip = recipe.data.unreadable == "skip"
            notes = check_validation(recipe.validation, data, skip_unreadable=skip)
    return notes


def _expect_room_for_statistics(recipe: RecognitionRecipe, place: Place) -> None:
    """Batch norm has no variance of one image."""
    part = recipe.batch_size // recipe.accumulate
    own = part if recipe.norm_statistics == "global" else part // place.ranks
    if own == 1:
        raise BadInput(
            f"batch_size={recipe.batch_size} in {recipe.accumulate} parts over {place.ranks} "
            "processes leaves one image to each, and batch normalization needs two or more; raise "
            "batch_size, lower accumulate, or set norm_statistics=global"
        )


def _about_rates(recipe: RecognitionRecipe) -> tuple[str, ...]:
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


def _expect_same_data(
    source: Source, facts: DataFacts, classes: tuple[str, ...], folder: Path
) -> None:
    if source.fingerprint() == facts.fingerprint:
        return
    told = [f"{facts.images} images are now {len(source)}"] if facts.images != len(source) else []
    for what, names in (
        ("new", set(source.classes) - set(classes)),
        ("gone", set(classes) - set(source.classes)),
    ):
        if names:
            are = "class is" if len(names) == 1 else "classes are"
            told.append(f"{len(names)} {are} {what}, such as {min(names)!r}")
    raise BadInput(
        f"{folder} is not what this run was begun with: {'; '.join(told) or 'labels differ'}. "
        "Restore it, or begin another run with start_from"
    )
