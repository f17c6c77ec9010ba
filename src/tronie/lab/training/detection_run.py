"""A run of a detector: photographs and their faces, crops of them, and what judges it."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

from tronie.errors import BadInput
from tronie.lab.nn.detector import Detector
from tronie.lab.training.detection import Detection, memory_plan
from tronie.lab.training.detection_crops import crops
from tronie.lab.training.detection_judging import (
    Split,
    check_judging,
    judge_all,
    open_judging,
    split,
)
from tronie.lab.training.detection_loader import FaceLoader
from tronie.lab.training.detection_recipe import DetectionRecipe
from tronie.lab.training.detection_source import FaceSource, open_faces
from tronie.lab.training.trade import Asked, Opened, Ready, Trade
from tronie.lab.training.trained import last_checkpoint


def _expect(name: str, recipe: DetectionRecipe) -> None:
    """A recipe of a detector refuses by itself what it cannot be."""


def _open(recipe: DetectionRecipe, data: Path, closing: ExitStack) -> Opened:
    source = open_faces(data, labels=recipe.data.labels, closing=closing)
    parts = split(source, recipe.data.held_out)
    trained = parts.trained
    if not trained.faces_in_all:
        raise BadInput(f"no face is labeled in the {len(trained)} photographs of {data}")
    told = f"{len(trained)} photographs with {trained.faces_in_all} faces"
    counts = {"images": len(trained), "faces": trained.faces_in_all}
    if parts.held_out is not None:
        told += f", {len(parts.held_out)} more held out"
        counts["held_out"] = len(parts.held_out)
    return Opened(
        source=parts,
        images=len(trained),
        classes=("face",),
        fingerprint=source.fingerprint(),
        told=told,
        counts=counts,
    )


def _check(recipe: DetectionRecipe, opened: Opened, data: Path) -> tuple[str, ...]:
    with ExitStack() as closing:
        return check_judging(open_judging(recipe, opened.source, data, closing=closing))


def _make(asked: Asked[DetectionRecipe]) -> Ready:
    recipe, place = asked.recipe, asked.place
    parts: Split = asked.opened.source
    loader = asked.closing.enter_context(
        FaceLoader(
            parts.trained,
            augment=crops(recipe.data),
            batch_size=recipe.batch_size,
            parts=recipe.accumulate,
            seed=recipe.seed,
            rank=place.rank,
            ranks=place.ranks,
            skip_unreadable=recipe.data.unreadable == "skip",
            threads=recipe.data.threads,
            sizes=recipe.data.sizes,
            keep_bytes=_keep_bytes(recipe),
        )
    )
    judged = open_judging(recipe, parts, asked.data, closing=asked.closing)

    def judge(step: int, network: Detector) -> Mapping[str, float]:
        return judge_all(judged, recipe, asked.folder, step, network, device=place.device)

    task = Detection(recipe, loader, device=place.device, validate=judge if judged else None)
    asked.closing.callback(task.close)
    if recipe.start_from and asked.is_new:
        task.start_from(last_checkpoint(recipe.start_from, asked_by="start_from: "))
    memory = memory_plan(recipe, task.network)
    return Ready(task=task, memory={**memory, "decoded photographs": _kept(recipe, parts.trained)})


def _keep_bytes(recipe: DetectionRecipe) -> int:
    return int(recipe.data.keep_gib * 2**30)


def _kept(recipe: DetectionRecipe, source: FaceSource) -> int:
    """Bytes of decoded photographs at most; all that is allowed where a size is not told."""
    sides = [source.size_of(n) or (None, None) for n in range(len(source))]
    known = [3 * width * height for width, height in sides if width and height]
    return min(_keep_bytes(recipe), sum(known)) if len(known) == len(sides) else _keep_bytes(recipe)


TRADE = Trade[DetectionRecipe](measure="AP", expect=_expect, open=_open, check=_check, make=_make)
