"""IJB-B and IJB-C from a folder of lists and a feature matrix on disk.

    evaluate_ijb("meta", "features.npy")                    1:1, TAR at fixed FARs
    evaluate_ijb_identification("meta", "features.npy")     1:N, TPIR at fixed FPIRs

The folder holds the files of one of both sets, "ijbb_..." or "ijbc_..." (see
`tronie.data.readers.ijb`). The matrix has one row for each line of ..._face_tid_mid.txt, in its
order: as the network gives them, with their lengths, since the pooling uses them; rows of length
1 are pooled as such. Embeddings of an image and of its mirror are added before.

What the released scripts of InsightFace do by default is the pooling "media_then_sum" of rows
that keep their length, weighted by the detector (weighting="detector").
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tronie.data.readers.features import open_features
from tronie.data.readers.ijb import (
    IjbMedia,
    IjbPairs,
    IjbSubjects,
    read_gallery,
    read_media,
    read_pairs,
    read_points,
)
from tronie.errors import BadArray, BadFile, BadInput, NotFound
from tronie.evaluation.metrics.top_matches import Progress
from tronie.evaluation.pairs.scores import exact_scores
from tronie.evaluation.protocols import ijb_identification, ijb_verification
from tronie.evaluation.report import Report
from tronie.geometry.templates import Templates, pool
from tronie.provenance import provenance

WEIGHTINGS = ("none", "detector")

_SETS = {"ijbb": "IJB-B", "ijbc": "IJB-C"}
_MEDIA = "_face_tid_mid.txt"
_PAIRS = "_template_pair_label.txt"
_POINTS = "_name_5pts_score.txt"
_PROBES = "_1N_probe_mixed.csv"
_GALLERY = "_1N_gallery_"
_PAIRS_AT_ONCE = 1 << 16


def evaluate_ijb(
    meta_dir: str | Path,
    features: str | Path | None,
    *,
    scores: NDArray[np.floating] | None = None,
    pooling: str = "media_then_sum",
    weighting: str = "none",
    fars: Sequence[float] = ijb_verification.FARS,
    beside: str = "nothing",
    inputs: Mapping[str, str | Path] | None = None,
    progress: Progress | None = None,
) -> Report:
    """TAR at fixed FARs over the listed pairs of templates.

    Args:
        meta_dir: The folder with the lists, or the one above its "meta".
        features: A matrix that `open_features` reads, or None where `scores` are given.
        scores: One a line of ..._template_pair_label.txt, made elsewhere; then nothing is
            pooled.
        pooling: One of `tronie.geometry.templates.POOLINGS`.
        weighting: "none", or "detector": rows times the detector's scores.
        fars: In (0, 1); one below one in all impostor pairs is left out, with a note.
        beside: "nothing", or "nearest" for the published values too.
        inputs: What else the numbers depend on, name to file or SHA-256, for the provenance.
        progress: Called with (done, total) pairs of templates.

    Raises:
        NotFound: the folder, one of its files or the matrix is not there.
        BadFile: a file breaks its form, or the lists do not fit together.
        BadArray: the matrix or the scores do not fit the lists.
        BadInput: both or none of `features` and `scores`; a name or a FAR is none.
        NotEnoughData: no FAR can be measured.
    """
    if (features is None) == (scores is None):
        got = "neither" if scores is None else "both"
        raise BadInput(f"IJB is judged from features or from scores of its pairs; got {got}")
    found = _Meta.of(meta_dir)
    pairs = read_pairs(found.file(_PAIRS))
    files = {found.file(_PAIRS).name: found.file(_PAIRS)}
    if features is not None:
        templates, used = _templates(found, features, pooling, weighting)
        files |= used
        judged = _pair_scores(templates, pairs, found, progress)
        made = _recipe(pooling, weighting)
    else:
        judged = np.asarray(scores, np.float64)
        made = "the scores of the pairs were handed in"
    if judged.shape != pairs.same.shape:
        raise BadArray(
            f"each of the {len(pairs.same)} pairs of {found.file(_PAIRS)} needs a score; "
            f"got scores of shape {judged.shape}"
        )
    report = ijb_verification.PROTOCOL.score(
        judged,
        pairs.same,
        fars=fars,
        beside=beside,
        of=found.title,
        provenance=provenance({**files, **(inputs or {})}),
    )
    return replace(report, notes=(*report.notes, made))


def evaluate_ijb_identification(
    meta_dir: str | Path,
    features: str | Path,
    *,
    pooling: str = "media_then_sum",
    weighting: str = "none",
    fpirs: Sequence[float] = ijb_identification.FPIRS,
    ranks: Sequence[int] = ijb_identification.RANKS,
    rule: str = "conservative",
    inputs: Mapping[str, str | Path] | None = None,
    progress: Progress | None = None,
) -> Report:
    """TPIR at fixed FPIRs and rank rates, of all probes in every gallery of the folder.

    Args:
        meta_dir, features, pooling, weighting, inputs: As `evaluate_ijb`.
        fpirs: In (0, 1).
        ranks: For the rank rates.
        rule: "conservative" or "published".
        progress: Called with (done, total) comparisons of a probe with a template of a gallery.

    Raises:
        NotFound, BadFile, BadArray, BadInput, NotEnoughData: as `evaluate_ijb`.
    """
    found = _Meta.of(meta_dir)
    lists = {name: read_gallery(path) for name, path in found.galleries().items()}
    probes = read_gallery(found.file(_PROBES))
    templates, files = _templates(found, features, pooling, weighting)
    used = [found.file(_PROBES), *found.galleries().values()]
    subjects = _subjects(templates.names, [*lists.values(), probes], found)
    report = ijb_identification.PROTOCOL.score(
        templates.unit,
        subjects,
        probes=_rows_of(templates.names, probes.templates, f"{found.file(_PROBES)}"),
        galleries={
            name: _rows_of(templates.names, told.templates, f"{found.galleries()[name]}")
            for name, told in lists.items()
        },
        fpirs=fpirs,
        ranks=ranks,
        rule=rule,
        provenance=provenance({path.name: path for path in used} | files | dict(inputs or {})),
        progress=progress,
    )
    notes = (*report.notes, f"{found.title}; {_recipe(pooling, weighting)}")
    return replace(report, notes=notes)


def _pair_scores(
    templates: Templates, pairs: IjbPairs, found: _Meta, progress: Progress | None
) -> NDArray[np.float64]:
    """The exact score of every listed pair."""
    first, second = (
        _rows_of(templates.names, side, f"{found.file(_PAIRS)}")
        for side in (pairs.first, pairs.second)
    )
    scores = np.empty(len(first))
    for start in range(0, len(first), _PAIRS_AT_ONCE):
        part = slice(start, start + _PAIRS_AT_ONCE)
        scores[part] = exact_scores(templates.unit, first[part], second[part])
        if progress is not None:
            progress(min(part.stop, len(first)), len(first))
    return scores


class _Meta(NamedTuple):
    """A folder with the lists of one set."""

    folder: Path
    key: str

    @staticmethod
    def of(meta_dir: str | Path) -> _Meta:
        given = Path(meta_dir)
        for folder in (given, given / "meta"):
            keys = [key for key in _SETS if (folder / f"{key}{_MEDIA}").is_file()]
            if len(keys) > 1:
                raise BadInput(f"{folder} holds the lists of IJB-B and of IJB-C; keep them apart")
            if keys:
                return _Meta(folder, keys[0])
        raise NotFound(f"there is no ijbb{_MEDIA} and no ijbc{_MEDIA} in {given} or its meta")

    @property
    def title(self) -> str:
        return _SETS[self.key]

    def file(self, ending: str) -> Path:
        return self.folder / f"{self.key}{ending}"

    def galleries(self) -> dict[str, Path]:
        """Name, as S1 or G1, to file."""
        start = f"{self.key}{_GALLERY}"
        files = sorted(self.folder.glob(f"{start}*.csv"))
        if not files:
            raise NotFound(f"there is no gallery {start}*.csv in {self.folder}")
        return {path.stem.removeprefix(start): path for path in files}


def _templates(
    found: _Meta, features: str | Path, pooling: str, weighting: str
) -> tuple[Templates, dict[str, Path]]:
    """The templates, and the files they were made from."""
    if weighting not in WEIGHTINGS:
        raise BadInput(f"there is no weighting {weighting!r}; choose from {', '.join(WEIGHTINGS)}")
    files = {"features": Path(features), found.file(_MEDIA).name: found.file(_MEDIA)}
    media = read_media(found.file(_MEDIA))
    rows = open_features(features)
    if len(rows) != len(media.images):
        raise BadArray(
            f"each line of {found.file(_MEDIA)} needs a row; it has {len(media.images)} lines "
            f"and {features} has {len(rows)} rows"
        )
    weights = None
    if weighting == "detector":
        weights = _detector_scores(found, media)
        files[found.file(_POINTS).name] = found.file(_POINTS)
    media_of = media.media if pooling == "media_then_sum" else None
    made = pool(rows, media.templates, pooling=pooling, media_of=media_of, weights=weights)
    return made, files


def _detector_scores(found: _Meta, media: IjbMedia) -> NDArray[np.float32]:
    points = read_points(found.file(_POINTS))
    if points.images != media.images:
        same = zip(points.images, media.images, strict=False)
        line = next((n for n, (a, b) in enumerate(same, start=1) if a != b), None)
        line = min(len(points.images), len(media.images)) + 1 if line is None else line
        raise BadFile(
            f"{found.file(_POINTS)}:{line}: must name the images of {found.file(_MEDIA)} in its "
            "order, or the detector's scores cannot be told apart"
        )
    return points.scores


def _rows_of(
    names: NDArray[np.int64], templates: NDArray[np.int64], where: str
) -> NDArray[np.int64]:
    """Where each template stands among all, which rise."""
    rows = np.minimum(np.searchsorted(names, templates), len(names) - 1).astype(np.int64)
    lost = np.flatnonzero(names[rows] != templates)
    if len(lost):
        raise BadFile(
            f"{where} names template {templates[lost[0]]}, which no image belongs to "
            f"({len(lost)} such entries)"
        )
    return rows


def _subjects(
    names: NDArray[np.int64], lists: Sequence[IjbSubjects], found: _Meta
) -> NDArray[np.int64]:
    """The subject of each template, -1 where no list names it; from 0."""
    subjects = np.full(len(names), -1, np.int64)
    for told in lists:
        rows = _rows_of(names, told.templates, f"a list of {found.folder}")
        clash = np.flatnonzero((subjects[rows] >= 0) & (subjects[rows] != told.subjects))
        if len(clash):
            template = told.templates[clash[0]]
            raise BadFile(
                f"template {template} shows subject {told.subjects[clash[0]]} in one list of "
                f"{found.folder} and {subjects[rows[clash[0]]]} in another"
            )
        subjects[rows] = told.subjects
    return subjects


def _recipe(pooling: str, weighting: str) -> str:
    return f"templates: {pooling}, weights: {weighting}"
