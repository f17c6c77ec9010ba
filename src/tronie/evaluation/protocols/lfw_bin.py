"""LFW, CFP-FP, AgeDB-30, CALFW and CPLFW as the field passes them on: aligned pairs in a .bin.

The faces are cut out already, so that recognizers are compared and nothing else. A crop and
its mirror image are embedded, the two are summed, and a pair's score is the cosine of the sums.
The ten folds are tenths of the pairs in the order of the file; where P % 10 pairs are over,
each of the first folds has one more.

    accuracy, std     mean and population standard deviation over folds, by the field's grid
    accuracy_exact    the same with exact thresholds
    val_step          see `tronie.evaluation.metrics.fold_values`: not equal to published VAL
    xnorm             mean length of the raw embeddings, of crops and mirror images alike

Letters: P pairs, D numbers in an embedding. Pair k is rows 2k and 2k + 1.

Source: Huang et al., UMass TR 07-49, 2007 (folds); Sengupta et al. 2016 (CFP), Moschoglou et
al. 2017 (AgeDB), Zheng et al. 2017 and 2018 (CALFW, CPLFW); the .bin form and XNorm are
InsightFace's. Differs from it: VAL; scores are float64 sums of rows rounded to float32 once.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tronie.errors import BadArray
from tronie.evaluation.metrics.fold_values import (
    contiguous_folds,
    fold_values,
    tar_values,
    val_step_values,
)
from tronie.evaluation.pairs.scores import exact_scores
from tronie.evaluation.protocol import Protocol
from tronie.evaluation.report import Report, Value
from tronie.geometry.hypersphere import normalize
from tronie.provenance import Provenance


def score(
    embeddings: NDArray[np.floating],
    same: NDArray[np.bool_],
    *,
    name: str,
    mirrored: NDArray[np.floating] | None = None,
    provenance: Provenance | None = None,
) -> Report:
    """Judge embeddings of the crops of a .bin by the ten-fold rule.

    Args:
        embeddings: Of the crops, shape (2P, D), as the network gives them.
        same: Whether each pair shows one person, shape (P,); ten or more.
        name: Of the set, such as "cfp_fp", for the notes.
        mirrored: Of the mirror images, shape (2P, D); None where they are left out, which
            the field does not do.

    Raises:
        BadArray: the shapes differ, or a row is not finite or is zero.
        NotEnoughData: fewer than ten pairs.
    """
    passes = [embeddings] if mirrored is None else [embeddings, mirrored]
    pairs = len(same)
    for rows in passes:
        if rows.ndim != 2 or rows.shape != (2 * pairs, embeddings.shape[1]) or same.ndim != 1:
            raise BadArray(
                f"{pairs} pairs need embeddings of shape ({2 * pairs}, D), and as many of the "
                f"mirror images; got {' and '.join(str(np.shape(rows)) for rows in passes)}"
            )
    folds = contiguous_folds(pairs)
    lengths = [normalize(rows)[1].astype(np.float64) for rows in passes]
    unit, _ = normalize(np.sum([rows.astype(np.float64) for rows in passes], axis=0))
    scores = exact_scores(unit, np.arange(0, 2 * pairs, 2), np.arange(1, 2 * pairs, 2))
    val, val_notes = val_step_values(scores, same, folds=folds)
    tar, tar_notes = tar_values(scores, same)
    notes = [f"the set is {name}: {int(same.sum())} of its {pairs} pairs show one person"]
    if mirrored is None:
        notes.append("mirror images were left out; the field's numbers are made with them")
    return Report(
        name=PROTOCOL.name,
        version=PROTOCOL.version,
        values={
            **fold_values(scores, same, folds=folds),
            **val,
            "xnorm": Value(value=float(np.concatenate(lengths).mean()), unit="length"),
            **tar,
        },
        notes=(*notes, *val_notes, *tar_notes),
        provenance=provenance,
    )


PROTOCOL = Protocol(
    name="lfw-bin",
    version="1",
    source="Huang et al., UMass TR 07-49, 2007; verification sets in InsightFace's .bin form",
    needs=("SET.bin: encoded crops of 112 x 112 pixels, two a pair, and P flags",),
    score=score,
)
