"""Run YouTube Faces over a feature matrix of one row a frame.

META is a CSV with a header and one line for each row of the matrix:

    video      NAME/NUMBER, as splits.txt calls it
    ...        a column `frame` is allowed and not read

Frames that are NaN all through show no face and are left out of their video.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tronie.data.readers.features import open_features
from tronie.data.readers.table import read_table
from tronie.data.readers.ytf import read_splits
from tronie.errors import BadArray
from tronie.evaluation.protocols import ytf
from tronie.evaluation.report import Report
from tronie.geometry.templates import pool
from tronie.provenance import provenance

POOLING = "mean_of_unit"


def evaluate_ytf(
    splits: str | Path, features: str | Path, meta: str | Path, *, pooling: str = POOLING
) -> Report:
    """Ten-fold accuracy of templates of videos.

    Args:
        splits: splits.txt, or the corrected one.
        features: The matrix (N, D) float32, rows of any length but zero.
        meta: See the top of this file.
        pooling: One of `tronie.geometry.templates.POOLINGS` that needs no media.

    Raises:
        NotFound: a file is not there, or no row is of a video that splits.txt names.
        BadFile: a file is damaged, or of another kind.
        BadArray: META has another number of lines than the matrix rows; a row is zero, or
            NaN only in part; or the frames of a video cancel out.
        BadInput: there is no such pooling.
        NotEnoughData: one fold only.
    """
    pairs = read_splits(splits)
    matrix = open_features(features)
    videos = read_table(meta, required=("video",), optional=("frame",))["video"]
    if len(videos) != len(matrix):
        raise BadArray(
            f"each row needs a line of META; {features} has {len(matrix)} rows and {meta} has "
            f"{len(videos)} lines below its header"
        )
    names, of_row = np.unique(np.array(videos, np.str_), return_inverse=True)
    seen = np.flatnonzero(~np.isnan(matrix).all(axis=1))
    templates = np.full((len(names), matrix.shape[1]), np.nan, np.float32)
    if len(seen):
        kept = matrix if len(seen) == len(matrix) else matrix[seen]
        numbers, unit = pool(kept, of_row[seen].astype(np.int64), pooling=pooling)
        templates[numbers] = unit
    files = {"splits.txt": Path(splits), "features": Path(features), "meta": Path(meta)}
    return ytf.PROTOCOL.score(
        pairs,
        dict(zip(names.tolist(), templates, strict=True)),
        pooling=pooling,
        provenance=provenance(files),
    )
