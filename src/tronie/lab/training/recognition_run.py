"""A run of a recognizer: identities and their images, pairs that judge it, perhaps a teacher."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

from tronie.errors import BadInput
from tronie.lab.training.distributed import Place
from tronie.lab.training.loaders import Loader
from tronie.lab.training.recipe import RecognitionRecipe
from tronie.lab.training.recognition import (
    EmbedCrops,
    Recognition,
    augmentation,
    load_backbone,
    memory_plan,
)
from tronie.lab.training.sources import Source, open_source
from tronie.lab.training.trade import Asked, Opened, Ready, Trade
from tronie.lab.training.trained import last_checkpoint, teaching_of
from tronie.lab.training.validation import check_validation, validate


def _expect(name: str, recipe: RecognitionRecipe) -> None:
    if recipe.teacher.is_heard and not recipe.teacher.is_named:
        raise BadInput(
            f"{name} learns from a teacher and names none; set teacher.run to the folder of "
            "a run, or teacher.model to an ONNX file"
        )


def _open(recipe: RecognitionRecipe, data: Path, closing: ExitStack) -> Opened:
    source = open_source(data, recipe.data, closing=closing)
    return Opened(
        source=source,
        images=len(source),
        classes=source.classes,
        fingerprint=source.fingerprint(),
        told=f"{len(source)} images of {len(source.classes)} people",
        counts={"images": len(source), "classes": len(source.classes)},
    )


def _check(recipe: RecognitionRecipe, opened: Opened, data: Path) -> tuple[str, ...]:
    skip = recipe.data.unreadable == "skip"
    return check_validation(recipe.validation, data, skip_unreadable=skip)


def _make(asked: Asked[RecognitionRecipe]) -> Ready:
    recipe, source, place = asked.recipe, asked.opened.source, asked.place
    _expect_room_for_statistics(recipe, place)
    loader = asked.closing.enter_context(_loader(recipe, source, place))
    judged = recipe.validation

    def judge(step: int, embed: EmbedCrops) -> Mapping[str, float]:
        skip = recipe.data.unreadable == "skip"
        return validate(judged, asked.data, asked.folder, step, embed, skip_unreadable=skip)

    teaching = teaching_of(recipe, source, place)
    task = Recognition(
        recipe,
        loader,
        device=place.device,
        teaching=teaching,
        validate=judge if judged.bins or judged.pairs else None,
    )
    asked.closing.callback(task.close)
    if recipe.start_from and asked.is_new:
        load_backbone(task.backbone, last_checkpoint(recipe.start_from, asked_by="start_from: "))
    return Ready(
        task=task,
        memory=memory_plan(recipe, task.backbone, task.head),
        assumed=teaching.assumed if teaching is not None else (),
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


TRADE = Trade[RecognitionRecipe](
    measure="accuracy", expect=_expect, open=_open, check=_check, make=_make
)
