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
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tronie.errors import BadInput
from tronie.lab.training.checkpoint import StoredState, checkpoints, newest_checkpoint
from tronie.lab.training.distillation import (
    Teaching,
    all_centers,
    check_teacher,
    teaching_of_file,
)
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
    load_head,
    memory_plan,
    open_backbone,
    open_head,
    stored_shard,
)
from tronie.lab.training.run_folder import (
    DataFacts,
    NamedRecipe,
    begin_folder,
    held,
    read_classes,
    read_facts,
    read_recipe,
    write_recipe,
)
from tronie.lab.training.settings import check_entries, differences, override
from tronie.lab.training.sources import Source, open_source
from tronie.lab.training.together import first_alone
from tronie.lab.training.validation import check_validation, validate
from tronie.runtime.session import usable_cores


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
    _task: Recognition
    _pace: Pace
    _place: Place
    _stored: StoredState | None

    def train(
        self, *, progress: Progress | None = None, announce: Announce | None = None
    ) -> Outcome:
        """To the end; see `tronie.lab.training.loop.run`."""
        if announce is not None:
            for words in self.assumed:
                announce(f"assumed: {words}")
        return run_loop(
            self._task,
            self._pace,
            self.folder,
            device=self._place.device,
            stored=self._stored,
            progress=progress,
            announce=announce,
        )


@contextmanager
def begin(
    named: NamedRecipe, *, data: Path, out: Path, place: Place, changes: Sequence[str] = ()
) -> Iterator[Run]:
    """A new run; every process calls this.

    Args:
        named: The recipe.
        data: The images, and what it is judged by.
        out: A folder that is not there yet, or empty.
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
        source = open_source(data, recipe.data, closing=closing)
        check_validation(recipe.validation, data)
        facts = DataFacts(
            folder=str(data.resolve()),
            images=len(source),
            classes=len(source.classes),
            fingerprint=source.fingerprint(),
        )
        with _held_by_first(out, closing) as mine:
            if mine:
                begin_folder(out, named, facts, source.classes)
        yield _ready(named, source, data=data, folder=out, place=place, closing=closing)


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
        check_validation(new.validation, at)
        changed = tuple(differences(named.recipe, new))
        with _held_by_first(folder, closing) as mine:
            stored = _newest(folder)
            if changed:
                told = {"step": stored.step if stored else 0, "differences": list(changed)}
                named = replace(named, recipe=new, changes=(*named.changes, told))
                if mine:
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
        )


def load_trained(folder: str | Path) -> tuple[RecognitionRecipe, Any]:
    """The recipe of a run, and its backbone after the last checkpoint, on the CPU, in evaluation.

    Raises:
        NotFound: there is no run, or it has no checkpoint yet.
        BadFile: its files are damaged.
    """
    recipe = read_recipe(folder).recipe
    backbone = open_backbone(recipe)
    load_backbone(backbone, newest_checkpoint(Path(folder) / CHECKPOINTS))
    return recipe, backbone.eval()


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
) -> Run:
    recipe = named.recipe
    loader = closing.enter_context(
        Loader(
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
    )
    judged = recipe.validation

    def judge(step: int, embed: EmbedCrops) -> Mapping[str, float]:
        return validate(judged, data, folder, step, embed)

    teaching = _teaching(recipe, source, place)
    task = Recognition(
        recipe,
        loader,
        device=place.device,
        teaching=teaching,
        validate=judge if judged.bins or judged.pairs else None,
    )
    closing.callback(task.close)
    if recipe.start_from and stored is None:
        load_backbone(task.backbone, newest_checkpoint(Path(recipe.start_from) / CHECKPOINTS))
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
        _stored=stored,
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


def _teaching(recipe: RecognitionRecipe, source: Source, place: Place) -> Teaching | None:
    """The teacher of a recipe, ready; None where it has none."""
    asked = recipe.teacher
    if not asked.is_named:
        return None
    if asked.model:
        threads = max(1, usable_cores() // place.ranks)
        return teaching_of_file(asked, student_size=recipe.embedding_size, threads=threads)
    folder = Path(asked.run)
    theirs, network = load_trained(folder)
    classes = read_classes(folder)
    check_teacher(
        asked,
        student_size=recipe.embedding_size,
        teacher_size=theirs.embedding_size,
        same_classes=classes == source.classes,
    )
    centers, everyone = None, None
    stored = newest_checkpoint(folder / CHECKPOINTS)
    head = open_head(theirs, classes=len(classes))
    if asked.copy_centers:
        if theirs.head != recipe.head and "subcenter" in (theirs.head.name, recipe.head.name):
            raise BadInput(
                f"centers of {theirs.head.name} cannot be copied to {recipe.head.name}: they have "
                f"other shapes. Set head={theirs.head.name}"
            )
        centers = stored_shard(head, stored)
    if asked.kl:
        load_head(head, stored)
        everyone = all_centers(head).to(place.device)
    return Teaching(
        settings=asked,
        network=network.to(place.device).requires_grad_(False),
        centers=centers,
        classes=everyone,
        scale=float(getattr(head.margin, "scale", 64.0)),
    )


@contextmanager
def _held_by_first(folder: Path, closing: ExitStack) -> Iterator[bool]:
    """Process 0 holds the folder to the end of the run, and does what is inside alone."""
    with first_alone(f"{folder} cannot be used") as mine:
        if mine:
            closing.enter_context(held(folder))
        yield mine


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
            told.append(f"{len(names)} classes are {what}, such as {min(names)!r}")
    raise BadInput(
        f"{folder} is not what this run was begun with: {'; '.join(told) or 'labels differ'}. "
        "Restore it, or begin another run with start_from"
    )
