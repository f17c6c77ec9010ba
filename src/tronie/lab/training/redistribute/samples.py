"""Sample redistribution as a search: which crops show faces as large as those to be found.

    RECIPE = SampleRecipe(size=640, canvas=640)

From labels alone, in seconds; nothing is trained. What is asked is answered by
`tronie.data.scale_matching`, and written to a folder:

    scales.csv     each run of scales, the nearest first
    scales.svg     sizes of the faces to be found, and of the crops of three runs
    scales.json    the recipe, the data, and what was found

The faces to be found are those of the photographs that are trained on, fitted into the canvas that
the detector will work on, or those of other labels. Never take the labels that the detector is
judged by in the end.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path

from tronie.data.augment.face_photo import FARTHEST, faces_of
from tronie.data.augment.square_crops import PLAIN_SCALES, SCALES
from tronie.data.face_scales import LabeledSize
from tronie.data.readers.widerface import read_labels
from tronie.data.scale_matching import (
    ScaleFit,
    faces_to_find,
    fit_of,
    fits_of_runs,
    percentiles,
    sizes_by_scale,
    target_sizes,
)
from tronie.errors import BadFile, BadInput, NotEnoughData
from tronie.images.io import image_size
from tronie.lab.training.detection_recipe import MOST_SCALE, MOST_SIDE
from tronie.lab.training.detection_source import FaceSource, open_faces
from tronie.lab.training.recipe import MOST_SEED, expect_between
from tronie.lab.training.redistribute.sample_chart import SizeLine, size_chart
from tronie.lab.training.redistribute.search_folder import is_part
from tronie.lab.training.run_folder import LOCK, held
from tronie.lab.training.settings import override, to_dict
from tronie.lab.training.whole_file import write_whole
from tronie.provenance import provenance

TABLE, CHART, RECORD = "scales.csv", "scales.svg", "scales.json"
GRID = (0.1, 0.15, 0.2, *SCALES, 2.4, 2.8, 3.2, 4.0)
COLUMNS = ("octaves", "larger_octaves", "faces_per_crop", "below_32_px", "scales")
MOST_CROPS, MOST_GRID = 1_000_000, 40
RELEASED_SIZE = 640
"""Of the crops that the published lists are made for."""
FORMAT = 1


@dataclass(frozen=True, kw_only=True)
class SampleRecipe:
    """A search for scales of square crops."""

    size: int = 640
    """Side of the crops that will be trained on, in pixels."""
    canvas: int = 640
    """Longer side of a photograph as the detector will see it, in pixels."""
    grid: tuple[float, ...] = GRID
    """Scales to choose from, rising, as shares of a photograph's short side, for crops of 640
    pixels; for crops of `size` they are multiplied by size / 640."""
    least: int = 5
    """Scales in a run, at least: of one alone, a face would be seen in one size."""
    least_height: float = 10.0
    """Faces to be found that are less high, in their photograph, do not count; WIDER FACE's own
    limit."""
    crops: int = 2000
    """That are drawn of each scale."""
    seed: int = 0
    labels: str = ""
    """The labels below --data; empty: labels.txt, or what else is found there."""
    target: str = ""
    """Labels (labelv2, with sizes) of the faces to be found; empty: those below --data."""
    trained_by: str = "detection/scrfd_500m"
    """The recipe that should be trained with them."""

    def __post_init__(self) -> None:
        for name, least, most in (
            ("size", 32, MOST_SIDE),
            ("canvas", 32, MOST_SIDE),
            ("least", 1, MOST_GRID),
            ("least_height", 0, MOST_SIDE),
            ("crops", 100, MOST_CROPS),
            ("seed", 0, MOST_SEED),
        ):
            expect_between(name, getattr(self, name), least, most)
        self._check_grid()

    def _check_grid(self) -> None:
        told = ", ".join(f"{scale:g}" for scale in self.grid) or "none"
        if not self.least <= len(self.grid) <= MOST_GRID:
            raise BadInput(f"grid needs {self.least} to {MOST_GRID} scales; got {told}")
        own = [self.own(scale) for scale in self.grid]
        if not 0 < own[0] <= own[-1] <= MOST_SCALE or any(b <= a for a, b in pairwise(own)):
            raise BadInput(
                f"grid must rise from above 0, and for crops of {self.size} pixels, times "
                f"{self.size / RELEASED_SIZE:g}, to {MOST_SCALE:g} at most; got {told}"
            )
        if self.crops * len(self.grid) > MOST_CROPS:
            raise BadInput(
                f"crops times the scales of grid must be at most {MOST_CROPS:,}; got "
                f"{self.crops:,} and {len(self.grid)}"
            )

    def own(self, scale: float) -> float:
        """A scale of the grid, meant for crops of 640 pixels, for crops of this size."""
        return round(scale * self.size / RELEASED_SIZE, 4)


@dataclass(frozen=True, eq=False, kw_only=True)
class FoundScales:
    """What a search found."""

    recipe: SampleRecipe
    """As it was changed."""
    photographs: int
    faces: int
    """To be found."""
    target: tuple[float, ...]
    """Percentiles of their sizes, as `ScaleFit` has those of crops."""
    fits: tuple[ScaleFit, ...]
    """The nearest first, never empty."""
    plain: ScaleFit
    """For comparison: the list before sample redistribution, for this size of crops."""
    released: ScaleFit
    """And the released one."""


def find_scales(
    name: str, recipe: SampleRecipe, *, data: Path, out: Path, changes: Sequence[str] = ()
) -> FoundScales:
    """Search, and write what was found; a folder that holds such a search is written anew.

    Args:
        name: Of the recipe.
        recipe: What is asked.
        data: Photographs and labels.
        out: Folder of the search.
        changes: Settings to be changed, `name=value` each.

    Raises:
        NotFound: a name or the data are not there.
        BadInput: settings or folder cannot be used.
        BadFile: labels or photographs are damaged.
        NotEnoughData: no faces to match, or none in crops.
    """
    recipe = override(recipe, changes)
    _expect_own(out)
    with ExitStack() as closing:
        closing.enter_context(held(out))
        source = open_faces(data, labels=recipe.labels, closing=closing)
        photos = _faces_of(recipe, [_sized(source, n) for n in range(len(source))])
        other = _faces_of(recipe, _of_labels(data / recipe.target)) if recipe.target else photos
        target = target_sizes(other, canvas=recipe.canvas)
        grid, plain, released = (
            [recipe.own(scale) for scale in scales]
            for scales in (recipe.grid, PLAIN_SCALES, SCALES)
        )
        sizes = sizes_by_scale(
            photos,
            (*grid, *plain, *released),
            size=recipe.size,
            crops=recipe.crops,
            seed=recipe.seed,
        )
        found = FoundScales(
            recipe=recipe,
            photographs=len(photos),
            faces=len(target),
            target=percentiles(target),
            fits=fits_of_runs(grid, sizes, target, least=recipe.least, crops=recipe.crops),
            plain=fit_of(plain, sizes, target, crops=recipe.crops),
            released=fit_of(released, sizes, target, crops=recipe.crops),
        )
        _write(out, name, found, data=data, fingerprint=source.fingerprint())
    return found


def _expect_own(out: Path) -> None:
    """See that what is in the folder is of an earlier search of this kind."""
    own = {TABLE, CHART, RECORD, LOCK}
    there = {path.name for path in out.iterdir()} if out.is_dir() else set()
    if others := sorted(name for name in there - own if not is_part(name)):
        raise BadInput(
            f"--out {out} is a folder with other things in it, such as {others[0]}; name a new one"
        )


def _faces_of(recipe: SampleRecipe, photos: Sequence[LabeledSize]) -> list[LabeledSize]:
    return faces_to_find(photos, least_height=recipe.least_height)


def _sized(source: FaceSource, n: int) -> LabeledSize:
    width, height = source.size_of(n) or (None, None)
    if width is None or height is None:
        width, height = image_size(source.read(n), name=source.name_of(n))
    return _possible(LabeledSize(source.faces(n), width, height), source.name_of(n))


def _possible(photo: LabeledSize, name: str) -> LabeledSize:
    if not 1 <= min(photo.width, photo.height) <= max(photo.width, photo.height) <= FARTHEST:
        raise BadFile(
            f"{name} is said to have {photo.width} x {photo.height} pixels; a photograph has 1 to "
            f"{FARTHEST:g} a side"
        )
    return photo


def _of_labels(path: Path) -> list[LabeledSize]:
    photos = read_labels(path)
    sized = [
        _possible(LabeledSize(faces_of(photo), *photo.size), f"{path}: {photo.name}")
        for photo in photos
        if photo.size
    ]
    if len(sized) < len(photos) or not photos:
        raise NotEnoughData(
            f"{path} tells the size of {len(sized)} of its {len(photos)} photographs; a target "
            "needs them all, as '# NAME WIDTH HEIGHT'"
        )
    return sized


def _write(out: Path, name: str, found: FoundScales, *, data: Path, fingerprint: str) -> None:
    told = io.StringIO()
    table = csv.writer(told, lineterminator="\n")
    table.writerow(COLUMNS)
    for fit in found.fits:
        numbers = (fit.octaves, fit.larger, fit.faces_per_crop, fit.small)
        table.writerow([*(f"{number:.4f}" for number in numbers), listed(fit.scales, " ")])
    write_whole(out / TABLE, told.getvalue())
    record = {
        "format": FORMAT,
        "name": name,
        "recipe": to_dict(found.recipe),
        "data": {"folder": str(data.resolve()), "fingerprint": fingerprint},
        "photographs": found.photographs,
        "faces": found.faces,
        "target": found.target,
        "best": asdict(found.fits[0]),
        "plain": asdict(found.plain),
        "released": asdict(found.released),
        "provenance": provenance({}).to_dict(),
    }
    write_whole(out / RECORD, json.dumps(record, indent=1, allow_nan=False) + "\n")
    lines = [SizeLine(name=f"to be found: {found.faces} faces", percentiles=found.target)]
    shown = {"nearest": found.fits[0], "plain": found.plain, "released": found.released}
    for what, fit in shown.items():
        span = f"{fit.scales[0]:g} to {fit.scales[-1]:g}"
        lines.append(SizeLine(name=f"{what}, {span}", percentiles=fit.percentiles))
    write_whole(out / CHART, size_chart(lines, title=name))


def listed(scales: Sequence[float], between: str = ",") -> str:
    """As --set data.scales= takes them."""
    return between.join(f"{scale:g}" for scale in scales)
