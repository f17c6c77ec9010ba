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
from pathlib import Path

from tronie.data.augment.face_photo import faces_of
from tronie.data.augment.square_crops import PLAIN_SCALES, SCALES
from tronie.data.face_scales import LabeledSize
from tronie.data.readers.widerface import read_labels
from tronie.data.scale_matching import (
    ScaleFit,
    fit_of,
    fits_of_runs,
    percentiles,
    sizes_by_scale,
    target_sizes,
)
from tronie.errors import BadInput, NotEnoughData
from tronie.images.io import image_size
from tronie.lab.training.detection_recipe import MOST_SCALE, MOST_SIDE
from tronie.lab.training.detection_source import FaceSource, open_faces
from tronie.lab.training.recipe import MOST_SEED, expect_between
from tronie.lab.training.redistribute.sample_chart import SizeLine, size_chart
from tronie.lab.training.run_folder import LOCK, held
from tronie.lab.training.settings import override, to_dict
from tronie.lab.training.whole_file import write_whole
from tronie.provenance import provenance

TABLE, CHART, RECORD = "scales.csv", "scales.svg", "scales.json"
GRID = (0.1, 0.15, 0.2, *SCALES, 2.4, 2.8, 3.2, 4.0)
COLUMNS = ("octaves", "larger_octaves", "faces_per_crop", "below_32_px", "scales")
MOST_CROPS, MOST_GRID = 1_000_000, 200
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
        if not self.least <= len(self.grid) <= MOST_GRID or max(self.grid) > MOST_SCALE:
            raise BadInput(
                f"grid needs {self.least} to {MOST_GRID} scales, at most {MOST_SCALE:g}; got "
                f"{', '.join(f'{scale:g}' for scale in self.grid) or 'none'}"
            )


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
    with ExitStack() as closing:
        closing.enter_context(held(out))
        _expect_own(out)
        source = open_faces(data, labels=recipe.labels, closing=closing)
        photos = [_sized(source, n) for n in range(len(source))]
        target = target_sizes(
            _of_labels(data / recipe.target) if recipe.target else photos,
            canvas=recipe.canvas,
            least_height=recipe.least_height,
        )
        own = {
            scale: round(scale * recipe.size / RELEASED_SIZE, 4)
            for scale in (*recipe.grid, *SCALES)
        }
        sizes = sizes_by_scale(
            photos, own.values(), size=recipe.size, crops=recipe.crops, seed=recipe.seed
        )
        grid, plain, released = (
            [own[scale] for scale in scales] for scales in (recipe.grid, PLAIN_SCALES, SCALES)
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
    if others := sorted({path.name for path in out.iterdir()} - own):
        raise BadInput(
            f"--out {out} is a folder with other things in it, such as {others[0]}; name a new one"
        )


def _sized(source: FaceSource, n: int) -> LabeledSize:
    width, height = source.size_of(n) or (None, None)
    if width is None or height is None:
        width, height = image_size(source.read(n), name=source.name_of(n))
    return LabeledSize(source.faces(n), width, height)


def _of_labels(path: Path) -> list[LabeledSize]:
    photos = read_labels(path)
    sized = [LabeledSize(faces_of(photo), *photo.size) for photo in photos if photo.size]
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
    write_whole(out / RECORD, json.dumps(record, indent=1) + "\n")
    lines = [SizeLine(name=f"to be found: {found.faces} faces", percentiles=found.target)]
    shown = {"nearest": found.fits[0], "without": found.plain, "released": found.released}
    for what, fit in shown.items():
        span = f"{fit.scales[0]:g} to {fit.scales[-1]:g}"
        lines.append(SizeLine(name=f"{what}, {span}", percentiles=fit.percentiles))
    write_whole(out / CHART, size_chart(lines, title=name))


def listed(scales: Sequence[float], between: str = ",") -> str:
    """As --set data.scales= takes them."""
    return between.join(f"{scale:g}" for scale in scales)
