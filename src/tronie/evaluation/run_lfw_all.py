"""LFW, all pairs, from the folder and any callable that embeds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from tronie.data.readers.lfw import LfwPhotos, read_pairs
from tronie.errors import NotEnoughData
from tronie.evaluation.pairs.scores import NumpyScreen, screen_error
from tronie.evaluation.pairs.sets import HowToRun, measure_sets, plan_sets
from tronie.evaluation.protocols import lfw_all
from tronie.evaluation.report import Report
from tronie.evaluation.run import CHUNK, Embed, Progress, embed_photos
from tronie.evaluation.run_pairs import Screens, people_of
from tronie.geometry.hypersphere import normalize
from tronie.provenance import provenance


def evaluate_lfw_all(
    data_dir: str | Path,
    embed: Embed,
    *,
    screens: Screens | None = None,
    inputs: Mapping[str, str | Path] | None = None,
    chunk: int = CHUNK,
    progress: Progress | None = None,
    how: HowToRun = HowToRun(),  # noqa: B008 - frozen
) -> Report:
    """TAR at tight FARs over all pairs of the photographs that pairs.txt names.

    Args:
        data_dir: A folder with pairs.txt and the photographs, unpacked or in their zip.
        embed: From encoded photographs to embeddings; NaN where there is no face.
        screens: What to search with; default: NumPy's product.
        inputs: What else the number depends on (the models), for the provenance.
        progress: Called with (done, total) photographs.
        how: Of the comparison.

    Returns:
        The Report of `tronie.evaluation.protocols.lfw_all`. The rows of its worst pairs are
        places in the sorted list of photographs with a face; labels are people.

    Raises:
        NotFound: the folder, pairs.txt or a photograph it names is not there.
        BadFile: pairs.txt or a zip file is damaged.
        BadArray: `embed` returned anything but (N, D).
        NotEnoughData: too few photographs show a face.
    """
    pairs_file = Path(data_dir) / "pairs.txt"
    photos = sorted({photo for fold in read_pairs(pairs_file) for p in fold for photo in p[:2]})
    made_with = provenance({"pairs.txt": pairs_file, **(inputs or {})})
    with LfwPhotos(data_dir) as source:
        rows = embed_photos(source, photos, embed=embed, chunk=chunk, progress=progress)
    found = np.logical_not(np.isnan(rows).any(axis=1))
    if found.sum() < 2:
        raise NotEnoughData(f"{int(found.sum())} of {len(photos)} photographs show a face")
    unit = normalize(rows[found])[0]
    labels = np.array([photo.name for photo in photos], dtype=np.str_)[found]
    dimension = unit.shape[1]
    made = [NumpyScreen()] if screens is None else screens(dimension, screen_error(dimension))
    planned = plan_sets(unit, people_of(labels), lfw_all.pair_sets(), screens=made)
    measured = measure_sets(unit, planned, labels=labels, how=how)
    report = lfw_all.PROTOCOL.score(measured, provenance=made_with)
    missing = [photos[n] for n in np.flatnonzero(~found)]
    note = f"{len(photos)} photographs, {len(missing)} of them without a face and left out"
    if missing:
        note += ": " + ", ".join(str(photo) for photo in missing[:3])
    return replace(report, notes=(note, *report.notes))
