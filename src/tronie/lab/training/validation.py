"""What a network is judged by while it learns: pairs in .bin files, and pairs of named crops.

    lfw.bin ...                     ten-fold accuracy, by `evaluation.run_lfw_bin`
    pairs + threshold_pairs         the threshold of the highest accuracy on one list of pairs,
                                    the accuracy on another at that threshold

The second is View 1 of LFW: pairsDevTrain.txt and pairsDevTest.txt, of different people. Its crops
are aligned beforehand, as NAME/NAME_0001.jpg (or .png ...) below a folder. Pairs of a crop that is
not there score -1, as everywhere where no face was found. What cannot be read is told before the
first step (`check_validation`), not hours later.

Each validation writes a Report of each set, and returns the one number of each that is logged.

Source: Huang et al., "Labeled Faces in the Wild", UMass TR 07-49, 2007, section on View 1.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tronie.data.readers.image_folder import list_images
from tronie.data.readers.lfw import Pair, Photo, read_pairs
from tronie.data.readers.lfw_bin import read_lfw_bin
from tronie.errors import BadImage, BadInput, NotEnoughData, NotFound
from tronie.evaluation.embedding import one_row_each
from tronie.evaluation.metrics.fold_values import tar_values
from tronie.evaluation.metrics.folds import best_threshold
from tronie.evaluation.metrics.intervals import wilson
from tronie.evaluation.report import Report, Value
from tronie.evaluation.run_lfw_bin import MAX_PIXELS, evaluate_lfw_bin
from tronie.geometry.hypersphere import normalize
from tronie.images.io import image_size, read_image
from tronie.images.pixels import Pixels
from tronie.lab.nn.collectives import rank
from tronie.lab.training.recipe import Validation
from tronie.lab.training.reports import write_report
from tronie.provenance import provenance

EmbedCrops = Callable[[NDArray[np.uint8]], NDArray[np.float32]]
SIDE = 112
CHUNK = 64
NO_FACE_SCORE = -1.0
FOLDS = 10

_CROP = re.compile(r"(?P<name>.+)_(?P<number>\d{4})")


def check_validation(
    asked: Validation, data: Path, *, skip_unreadable: bool = False
) -> tuple[str, ...]:
    """Read all that it will read, before hours are spent.

    Lists are read whole and crops of pairs are decoded; of the pictures in a .bin the headers.

    Args:
        asked: By which files.
        data: What they are named below.
        skip_unreadable: A crop of the pairs that cannot be read counts as missing.

    Returns:
        What counts as missing, in a sentence; nothing where all is well.

    Raises:
        NotFound: a file, the folder of crops or all crops are not there.
        BadFile: a list or a .bin is damaged.
        BadImage: a picture cannot be read.
        NotEnoughData: a .bin has fewer pairs than folds.
        BadInput: both lists share a pair.
    """
    for name in (*asked.bins, asked.pairs, asked.threshold_pairs):
        if name and not (data / name).is_file():
            raise NotFound(f"validation asks for {data / name}, which is not there")
    for name in asked.bins:
        _check_bin(data / name)
    if not asked.pairs:
        return ()
    photos = data / asked.photos
    if not photos.is_dir():
        raise NotFound(f"validation asks for crops in {photos}, which is no folder")
    judged, chosen_on = _both(data / asked.pairs, data / asked.threshold_pairs)
    unreadable = []
    for path in _wanted([*judged, *chosen_on], photos).values():
        try:
            _crop(str(path))
        except BadImage as error:
            if not skip_unreadable:
                raise
            unreadable.append(str(error))
    if not unreadable:
        return ()
    if len(unreadable) == 1:
        return (
            "1 crop of validation counts as missing, because it cannot be read: " + unreadable[0],
        )
    return (
        f"{len(unreadable)} crops of validation count as missing, because they cannot be read; "
        f"the first: {unreadable[0]}",
    )


def _check_bin(file: Path) -> None:
    found = read_lfw_bin(file)
    if len(found.same) < FOLDS:
        raise NotEnoughData(
            f"{file} has {len(found.same)} pairs; ten-fold accuracy needs at least {FOLDS}"
        )
    for n, data in enumerate(found.images):
        image_size(data, name=f"crop {n} of {file}", max_pixels=MAX_PIXELS)


def validate(
    asked: Validation,
    data: Path,
    folder: Path,
    step: int,
    embed: EmbedCrops,
    *,
    skip_unreadable: bool = False,
) -> dict[str, float]:
    """Judge a network; every process calls this, and process 0 writes the Reports.

    Args:
        data: What the files are named below.
        folder: Of the run.
        step: Steps that were done.
        embed: From crops (n, 112, 112, 3) to (n, D); see `recognition.embed_crops`.
        skip_unreadable: A crop of the pairs that cannot be read counts as missing.

    Returns:
        The accuracy of each set, by its name.

    Raises:
        NotFound: a file is not there.
        BadInput: one is damaged, or a Report cannot be written.
    """
    reports = {}
    for name in asked.bins:
        file = data / name
        reports[file.stem] = evaluate_lfw_bin(file, embed, flip=asked.flip)
    if asked.pairs:
        reports[Path(asked.pairs).stem] = evaluate_named_pairs(
            data / asked.photos,
            embed,
            pairs=data / asked.pairs,
            threshold_pairs=data / asked.threshold_pairs,
            flip=asked.flip,
            skip_unreadable=skip_unreadable,
        )
    if rank() == 0:
        for name, report in reports.items():
            write_report(folder, name, step, report)
    return {name: report.values["accuracy"].value for name, report in reports.items()}


def evaluate_named_pairs(
    photos: Path,
    embed: EmbedCrops,
    *,
    pairs: Path,
    threshold_pairs: Path,
    flip: bool = True,
    skip_unreadable: bool = False,
) -> Report:
    """Accuracy on pairs of aligned crops, at the threshold that is best on other pairs.

    Args:
        photos: A folder of crops NAME/NAME_0001.jpg, in it or below it.
        embed: Called with at most 64 crops, and again with their mirror images.
        pairs: The pairs to judge by, in the form of LFW's pairsDevTest.txt.
        threshold_pairs: The pairs to choose the threshold on.
        flip: Add the embedding of the mirror image.
        skip_unreadable: A crop that cannot be read counts as missing, and a note says how many.

    Raises:
        NotFound: a file is not there, or no crop at all.
        BadFile: a list breaks its form.
        BadImage: a crop cannot be read, or is not 112 x 112.
        BadInput: both lists share a pair.
    """
    judged, chosen_on = _both(pairs, threshold_pairs)
    both = [*judged, *chosen_on]
    unit = unit_rows(both, photos, embed, flip=flip, skip_unreadable=skip_unreadable)
    threshold = best_threshold(*pair_scores(chosen_on, unit))
    scores, same = pair_scores(judged, unit)
    correct = int(((scores >= threshold) == same).sum())
    tar, notes = tar_values(scores, same)
    missing = {photo for pair in judged for photo in pair[:2]} - unit.keys()
    values = {
        "accuracy": Value(
            value=correct / len(judged),
            unit="fraction",
            count=correct,
            total=len(judged),
            interval=wilson(correct, len(judged)),
        ),
        "threshold": Value(value=threshold, unit="cosine"),
        "pairs": Value(value=len(judged), unit="pairs"),
        "photos_without_face": Value(value=len(missing), unit="photographs"),
        **tar,
    }
    chosen = f"the threshold was chosen on {len(chosen_on)} other pairs, {threshold_pairs.name}"
    if left_out := len(_wanted(both, photos).keys() - unit.keys()):
        notes = (*notes, f"{left_out} crops of the pairs could not be read and count as missing")
    return Report(
        name="named-pairs",
        version="1",
        values=values,
        notes=(chosen, *notes),
        provenance=provenance({pairs.name: pairs, threshold_pairs.name: threshold_pairs}),
    )


def _both(pairs: Path, threshold_pairs: Path) -> tuple[list[Pair], list[Pair]]:
    judged = [pair for fold in read_pairs(pairs) for pair in fold]
    chosen_on = [pair for fold in read_pairs(threshold_pairs) for pair in fold]
    if shared := set(judged) & set(chosen_on):
        raise BadInput(
            f"{pairs} and {threshold_pairs} share {len(shared)} pairs, the first of "
            f"{min(shared).first}; a threshold must not be chosen on what it is judged by"
        )
    return judged, chosen_on


def _wanted(pairs: Sequence[Pair], photos: Path) -> dict[Photo, Path]:
    """Where the crops of the pairs are, sorted; those that are not there are left out."""
    found = _crops_below(photos)
    wanted = sorted({photo for pair in pairs for photo in pair[:2]} & found.keys())
    if not wanted:
        raise NotFound(
            f"{photos} holds no crop of the pairs; they are looked for as NAME/NAME_0001.jpg, .png "
            "or another picture"
        )
    return {photo: found[photo] for photo in wanted}


def unit_rows(
    pairs: Sequence[Pair],
    photos: Path,
    embed: EmbedCrops,
    *,
    flip: bool,
    skip_unreadable: bool = False,
) -> dict[Photo, NDArray[np.float32]]:
    """The embedding of each crop of the pairs that is there, at length 1.

    Raises:
        As `evaluate_named_pairs`.
    """
    wanted = list(_wanted(pairs, photos).items())
    rows: dict[Photo, NDArray[np.float32]] = {}
    for start in range(0, len(wanted), CHUNK):
        read = _readable(wanted[start : start + CHUNK], skip_unreadable=skip_unreadable)
        if not read:
            continue
        names = [str(photo) for photo in read]
        crops = np.stack(list(read.values()))
        made = one_row_each(embed(crops), names)
        if flip:
            made = made + one_row_each(embed(np.ascontiguousarray(crops[:, :, ::-1])), names)
        rows |= zip(read, made, strict=True)
    if not rows:
        raise BadImage(f"no crop of the pairs in {photos} can be read")
    unit, _ = normalize(np.stack(list(rows.values())))
    return dict(zip(rows, unit, strict=True))


def _readable(
    wanted: Sequence[tuple[Photo, Path]], *, skip_unreadable: bool
) -> dict[Photo, Pixels]:
    found = {}
    for photo, path in wanted:
        try:
            found[photo] = _crop(str(path))
        except BadImage:
            if not skip_unreadable:
                raise
    return found


def _crops_below(folder: Path) -> dict[Photo, Path]:
    found: dict[Photo, Path] = {}
    for path in list_images([folder]):
        match = _CROP.fullmatch(path.stem)
        if match is not None and match["name"] == path.parent.name:
            found.setdefault(Photo(match["name"], int(match["number"])), path)
    return found


def _crop(name: str) -> Pixels:
    try:
        crop = read_image(name)
    except NotFound as error:  # it went away meanwhile
        raise BadImage(str(error)) from error
    if crop.shape != (SIDE, SIDE, 3):
        raise BadImage(
            f"{name} has {crop.shape[1]} x {crop.shape[0]} pixels; validation takes aligned crops "
            f"of {SIDE} x {SIDE}"
        )
    return crop


def pair_scores(
    pairs: Sequence[Pair], unit: Mapping[Photo, NDArray[np.float32]]
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Cosine of each pair, (P,), -1 where a crop is not there, and whether it is one person."""
    scores = [
        float(unit[pair.first].astype(np.float64) @ unit[pair.second].astype(np.float64))
        if pair.first in unit and pair.second in unit
        else NO_FACE_SCORE
        for pair in pairs
    ]
    return np.array(scores), np.array([pair.same for pair in pairs], np.bool_)
