"""Biometric template sets, compared as listed: features, and lists that say what they are.

    images       IMAGE                     one line a row of the matrix, in its order
    templates    TEMPLATE IMAGE            one line an image of a template
    against      TEMPLATE IMAGE            templates of the other side, if they are others
    pairs        TEMPLATE TEMPLATE 0|1     first of `templates`, second of `against`

An image may stand in several templates, and in templates of both sides: then a pair of them is
easier than it should be, and is refused where they share one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tronie.data.readers.features import open_features
from tronie.data.readers.lists import (
    PairList,
    read_image_list,
    read_pair_list,
    read_template_list,
)
from tronie.errors import BadArray, BadFile, NotFound
from tronie.evaluation.pairs.scores import exact_scores
from tronie.evaluation.protocols import set_to_set
from tronie.evaluation.report import Report
from tronie.geometry.templates import pool
from tronie.provenance import provenance

Templates = Mapping[str, tuple[str, ...]]


def evaluate_set_to_set(
    features: str | Path,
    images: str | Path,
    *,
    templates: str | Path,
    pairs: str | Path,
    against: str | Path | None = None,
    pooling: str = "mean_of_unit",
    fars: Sequence[float] = set_to_set.FARS,
    inputs: Mapping[str, str | Path] | None = None,
) -> Report:
    """TAR at fixed FARs over the listed pairs of templates.

    Args:
        features: A matrix that `open_features` reads, rows as the network gives them.
        images: The list of its images.
        templates: The images of each template.
        pairs: The pairs of templates.
        against: The templates of the second side; None: `templates`.
        pooling: "mean_of_unit", "mean_of_raw" or "norm_cubed".
        fars: In (0, 1); one below one in all impostor pairs is left out, with a note.
        inputs: What else the numbers depend on, name to file or SHA-256, for the provenance.

    Raises:
        NotFound: a file, or a template that a pair names, is not there.
        BadFile: a file breaks its form, an image is not in the list or is there twice, or the
            templates of a pair share an image.
        BadArray: the list has not one line a row, or a row or a template has no direction.
        BadInput: no such pooling, or a FAR outside (0, 1).
        NotEnoughData: no pair of one kind, or no FAR that can be measured.
    """
    rows = open_features(features)
    listed = read_image_list(images)
    if len(rows) != len(listed):
        raise BadArray(
            f"each row of {features} needs a line of {images}; got {len(rows)} rows "
            f"and {len(listed)} lines"
        )
    row_of = {image: row for row, image in enumerate(listed)}
    if len(row_of) < len(listed):
        again = next(image for row, image in enumerate(listed) if row_of[image] != row)
        raise BadFile(f"{images} names {again} twice; each line is the row of one image")
    left = read_template_list(templates)
    right = left if against is None else read_template_list(against)
    chosen = read_pair_list(pairs)
    _check(chosen, left, right, pairs)
    first, second = _pooled(rows, left, row_of, pooling), _pooled(rows, right, row_of, pooling)
    place = {name: n for n, name in enumerate(left)}
    other = {name: n + len(left) for n, name in enumerate(right)}
    scores = exact_scores(
        np.concatenate([first, second]),
        np.array([place[name] for name in chosen.first]),
        np.array([other[name] for name in chosen.second]),
    )
    files = {"features": features, "images": images, "templates": templates, "pairs": pairs}
    if against is not None:
        files["against"] = against
    report = set_to_set.PROTOCOL.score(
        scores, chosen.same, fars=fars, provenance=provenance({**files, **(inputs or {})})
    )
    return replace(report, notes=(*report.notes, f"templates: {pooling}"))


def _check(chosen: PairList, left: Templates, right: Templates, pairs: str | Path) -> None:
    shown = {id(side): {name: frozenset(i) for name, i in side.items()} for side in (left, right)}
    for line, (a, b) in enumerate(zip(chosen.first, chosen.second, strict=True), start=1):
        for name, side in ((a, left), (b, right)):
            if name not in side:
                raise NotFound(f"{pairs}:{line}: there is no template {name!r} in its list")
        if shared := shown[id(left)][a] & shown[id(right)][b]:
            raise BadFile(
                f"{pairs}:{line}: the templates {a} and {b} share {min(shared)}; "
                "a pair compares what has no image in common"
            )


def _pooled(
    features: NDArray[np.float32], templates: Templates, row_of: Mapping[str, int], pooling: str
) -> NDArray[np.float32]:
    """One unit row a template, in the order of `templates`."""
    rows, of = [], []
    for n, (name, images) in enumerate(templates.items()):
        for image in images:
            if image not in row_of:
                raise BadFile(f"the template {name} names {image}, which has no row")
            rows.append(row_of[image])
            of.append(n)
    return pool(features[np.array(rows)], np.array(of), pooling=pooling).unit
