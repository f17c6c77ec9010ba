"""What other runs have trained, for those that begin with it, learn from it, or export it."""

from __future__ import annotations

from pathlib import Path

from torch import nn

from tronie.errors import BadInput, NotFound
from tronie.lab.training.checkpoint import StoredState, checkpoints, newest_checkpoint
from tronie.lab.training.detection import load_detector, open_detector
from tronie.lab.training.detection_recipe import DetectionRecipe
from tronie.lab.training.distillation import (
    Teaching,
    all_centers,
    check_teacher,
    teaching_of_file,
)
from tronie.lab.training.distributed import Place
from tronie.lab.training.head_state import load_head, stored_shard
from tronie.lab.training.loop import CHECKPOINTS
from tronie.lab.training.recipe import RecognitionRecipe
from tronie.lab.training.recognition import load_backbone, open_backbone, open_head
from tronie.lab.training.run_folder import TrainedRecipe, read_classes, read_recipe
from tronie.lab.training.sources import Source
from tronie.runtime.session import usable_cores


def load_trained(folder: str | Path) -> tuple[TrainedRecipe, nn.Module]:
    """The recipe of a run, and its network after the last checkpoint, on the CPU, in evaluation.

    Of a recognizer that is its backbone; of a detector the moving average, where it keeps one.

    Raises:
        NotFound: there is no run, or it has no checkpoint yet.
        BadFile: its files are damaged.
    """
    named = read_recipe(folder)
    recipe, stored = named.recipe, last_checkpoint(folder)
    network: nn.Module
    if isinstance(recipe, DetectionRecipe):
        network = open_detector(recipe)
        load_detector(network, stored)
    else:
        network = open_backbone(recipe)
        load_backbone(network, stored)
    return recipe, network.eval()


def last_checkpoint(run: str | Path, *, asked_by: str = "") -> StoredState:
    """The last checkpoint of a run.

    Args:
        run: Its folder.
        asked_by: How the error begins, as in "start_from: ".

    Raises:
        NotFound: there is no run, or it has no checkpoint yet.
        BadFile: its files are damaged.
    """
    if not Path(run).is_dir():
        raise NotFound(f"{asked_by}there is no folder {run}; name the folder of a run")
    if not checkpoints(Path(run) / CHECKPOINTS):
        read_recipe(run)  # if it is no run, that is what is wrong
        raise NotFound(
            f"{asked_by}the run {run} holds no checkpoint yet; train it until it has written one"
        )
    return newest_checkpoint(Path(run) / CHECKPOINTS)


def teaching_of(recipe: RecognitionRecipe, source: Source, place: Place) -> Teaching | None:
    """The teacher of a recipe, ready; None where it has none.

    Raises:
        NotFound: it is not there.
        BadInput: it does not fit the student.
        BadFile: its files are damaged.
    """
    asked = recipe.teacher
    if not asked.is_named:
        return None
    if asked.model:
        threads = max(1, usable_cores() // place.ranks)
        return teaching_of_file(asked, student_size=recipe.embedding_size, threads=threads)
    folder = Path(asked.run)
    stored = last_checkpoint(folder, asked_by="teacher.run: ")
    theirs, network = load_trained(folder)
    if not isinstance(theirs, RecognitionRecipe):
        raise BadInput(
            f"teacher.run: {folder} is a run of {read_recipe(folder).name}, which embeds no faces; "
            "name the run of a recognizer"
        )
    classes = read_classes(folder)
    check_teacher(
        asked,
        student_size=recipe.embedding_size,
        teacher_size=theirs.embedding_size,
        same_classes=classes == source.classes,
    )
    centers, everyone = None, None
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
