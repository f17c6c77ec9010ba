"""The sets of photographs that a detector is judged by while it learns, and their Reports.

    easy, medium, hard    WIDER FACE's own rules, where validation.truth names its .mat files
    held-out              all faces of the photographs that data.held_out keeps from training

Each is an average precision. What cannot be read is told before the first step (`check_judging`).
A photograph that is trained on and judged by is told as well, and stands in the Report: its
numbers say how well faces were learned by heart.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

import torch
import torch.distributed as dist

from tronie.data.readers.widerface import (
    FACES_FILE,
    SUBSET_FILES,
    Detected,
    WiderTruth,
    read_truth,
)
from tronie.data.readers.widerface_photos import WiderPhotos, is_original
from tronie.errors import BadInput, NotEnoughData, NotFound
from tronie.evaluation.report import Report
from tronie.images.io import decode_image
from tronie.lab.nn.collectives import rank, world_size
from tronie.lab.nn.detector import Detector
from tronie.lab.training.detection_recipe import DetectionRecipe
from tronie.lab.training.detection_source import FaceSource
from tronie.lab.training.detection_validation import detect_photos, report_of, truth_of
from tronie.lab.training.reports import write_report
from tronie.lab.training.together import first_alone
from tronie.provenance import Provenance, provenance

HELD_OUT = "held-out"


@dataclass(frozen=True, eq=False, kw_only=True)
class Split:
    """The photographs of a run."""

    trained: FaceSource
    held_out: FaceSource | None


@dataclass(frozen=True, eq=False, kw_only=True)
class JudgedSet:
    """Photographs with their ground truth."""

    name: str
    truth: WiderTruth
    names: tuple[str, ...]
    """Of the photographs, as the truth has them."""
    read: Callable[[str], bytes]
    by_heart: int
    """How many of them are trained on."""
    unreadable: tuple[str, ...] = ()
    """Why others are left out."""
    provenance: Provenance

    def photos(self, rank: int = 0, ranks: int = 1) -> Iterator[tuple[str, bytes]]:
        """Names and encoded pictures; the share of one process of several."""
        return ((name, self.read(name)) for name in self.names[rank::ranks])

    def numbers(self, report: Report) -> dict[str, float]:
        """The average precisions of a Report, by the names that a run tells them by."""
        found = {name: v.value for name, v in report.values.items() if v.unit == "fraction"}
        return {self.name if name == "all" else name: value for name, value in found.items()}

    def notes(self) -> tuple[str, ...]:
        """What must be said beside its numbers."""
        told = []
        if self.by_heart:
            told.append(
                f"{self.by_heart} of the {len(self.names)} photographs of {self.name} are trained "
                "on: its numbers tell what was learned by heart"
            )
        if self.unreadable:
            told.append(
                f"{len(self.unreadable)} of the photographs of {self.name} cannot be read and are "
                f"left out; the first: {self.unreadable[0]}"
            )
        return tuple(told)


def split(source: FaceSource, share: float) -> Split:
    """Keep a share of the photographs from training, by a hash of their names.

    Raises:
        NotEnoughData: one of the two parts would be empty.
    """
    if not share:
        return Split(trained=source, held_out=None)
    held = [n for n in range(len(source)) if _place(short_name(source.name_of(n))) < share]
    if not held or len(held) == len(source):
        raise NotEnoughData(
            f"data.held_out={share:g} keeps {len(held)} of {len(source)} photographs for "
            "validation; both parts need one or more. Give another share, or more photographs"
        )
    kept = sorted(set(range(len(source))) - set(held))
    return Split(trained=source.part(kept), held_out=source.part(held))


def open_judging(
    recipe: DetectionRecipe, parts: Split, data: Path, *, closing: ExitStack
) -> list[JudgedSet]:
    """What the recipe asks to be judged by; nothing where it asks for nothing.

    Raises:
        NotFound: a file, or all photographs of the ground truth, are not there.
        BadFile: a file is damaged.
    """
    asked, found = recipe.validation, []
    trained = {short_name(parts.trained.name_of(n)) for n in range(len(parts.trained))}
    if asked.truth:
        found.append(_official(data / asked.truth, data / asked.photos, trained, closing))
    if parts.held_out is not None:
        found.append(_held_out(recipe, parts.held_out))
    return found


def check_judging(judged: Sequence[JudgedSet]) -> tuple[str, ...]:
    """See that every photograph can be opened, and that there are faces to be found.

    Returns:
        What should be known before hours are spent, a sentence each.

    Raises:
        BadImage: a photograph is none.
        NotEnoughData: no face of a set counts.
    """
    for one in judged:
        for name, photo in one.photos():
            decode_image(photo, name=name)  # whole, and not its header alone
        if not any(mask.any() for name in one.names for mask in one.truth[name].counted.values()):
            raise NotEnoughData(
                f"validation by {one.name} asks for faces, and none of those in its "
                f"{len(one.names)} photographs counts"
            )
    return tuple(note for one in judged for note in one.notes())


def judge_all(
    judged: Sequence[JudgedSet],
    recipe: DetectionRecipe,
    run: Path,
    step: int,
    network: Detector,
    *,
    device: torch.device,
) -> dict[str, float]:
    """Judge a network; every process calls this, and process 0 writes the Reports.

    Returns:
        The average precisions, by name.
    """
    size, numbers = recipe.validation.size, dict[str, float]()
    for one in judged:
        shared = detect_photos(
            network,
            one.photos(rank(), world_size()),
            size=size,
            device=device,
            batch=recipe.validation.batch,
        )
        found = _together(shared)
        with first_alone(f"the Report of {one.name} cannot be written") as mine:
            if mine:
                report = report_of(found, truth=one.truth, size=size, provenance=one.provenance)
                report = replace(report, notes=(*report.notes, *one.notes()))
                write_report(run, one.name, step, report)
                numbers |= one.numbers(report)
    return _everywhere(numbers)


def short_name(name: str) -> str:
    """EVENT/PHOTO of a photograph, however its labels or its path have it."""
    path = PurePosixPath(name)
    return f"{path.parent.name}/{path.stem}"


def _place(name: str) -> float:
    """Where a name lies in [0, 1), as if drawn."""
    digest = hashlib.sha256(name.encode("utf-8", "surrogateescape")).digest()
    return int.from_bytes(digest[:8]) / 2**64


def _held_out(recipe: DetectionRecipe, held: FaceSource) -> JudgedSet:
    readable, unreadable = list[int](), list[str]()
    for n in range(len(held)):
        try:
            held.decoded(n)
            readable.append(n)
        except BadInput as error:
            if recipe.data.unreadable == "refuse":
                raise
            unreadable.append(str(error))
    held = held.part(readable)
    number = {held.name_of(n): n for n in range(len(held))}
    return JudgedSet(
        name=HELD_OUT,
        truth=truth_of(held, least_side=recipe.validation.least_side),
        names=tuple(sorted(number)),
        read=lambda name: held.read(number[name]),
        by_heart=0,
        unreadable=tuple(unreadable),
        provenance=provenance(),
    )


def _official(
    truth_folder: Path, photos_folder: Path, trained: set[str], closing: ExitStack
) -> JudgedSet:
    truth = read_truth(truth_folder)
    photos = closing.enter_context(WiderPhotos(photos_folder, truth.keys()))
    names = tuple(name for name in photos.names() if is_original(photos.read(name)))
    if not names:
        raise NotFound(
            f"validation.photos: {photos_folder} holds photographs of WIDER FACE, but all of them "
            "were resized, and the ground truth is in pixels of the originals"
        )
    files = {name: truth_folder / name for name in (FACES_FILE, *SUBSET_FILES.values())}
    return JudgedSet(
        name="widerface",
        truth=truth,
        names=names,
        read=photos.read,
        by_heart=len(trained & set(names)),
        provenance=provenance(files),
    )


def _together(shared: dict[str, Detected]) -> dict[str, Detected]:
    """What all processes have found."""
    if world_size() == 1:
        return shared
    each: list[Any] = [None] * world_size()
    dist.all_gather_object(each, shared)
    return {name: found for part in each for name, found in part.items()}


def _everywhere(numbers: dict[str, float]) -> dict[str, float]:
    """What process 0 has found, in every process."""
    told = [numbers]
    if world_size() > 1:
        dist.broadcast_object_list(told, src=0)
    return told[0]
