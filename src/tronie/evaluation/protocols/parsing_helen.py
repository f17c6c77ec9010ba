"""Helen: F1 by part of the face, their mean, and mIoU.

    mean_f1           over the 10 classes but the background
    miou              over all 11
    f1_brows, f1_eyes, f1_mouth   classes merged, left with right, lips with what is between
    f1_overall        brows, eyes, nose and mouth as one class: neither skin nor hair

Inputs: one table of counts, the sum of `confusion` over the photographs, shape
(11, 11). Maps are compared at the size of the photograph; 255 is not judged.

    0 ... 10        background, skin, left brow, right brow, left eye, right eye, nose,
                    upper lip, inner mouth, lower lip, hair

Source: Smith et al., "Exemplar-Based Face Parsing", CVPR 2013 (the labels of Helen); the
merges as the released code of Zheng et al., "DML-CSR", CVPR 2022, counts them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tronie.evaluation.metrics.parsing_scores import summarized
from tronie.evaluation.protocol import Protocol
from tronie.evaluation.report import Report
from tronie.provenance import Provenance

CLASSES = (
    "background",
    "skin",
    "left_brow",
    "right_brow",
    "left_eye",
    "right_eye",
    "nose",
    "upper_lip",
    "inner_mouth",
    "lower_lip",
    "hair",
)
MERGES: dict[str, tuple[str, ...]] = {
    "brows": ("left_brow", "right_brow"),
    "eyes": ("left_eye", "right_eye"),
    "mouth": ("upper_lip", "inner_mouth", "lower_lip"),
    "overall": (
        "left_brow",
        "right_brow",
        "left_eye",
        "right_eye",
        "nose",
        "upper_lip",
        "inner_mouth",
        "lower_lip",
    ),
}


def score(counts: NDArray[np.int64], *, provenance: Provenance | None = None) -> Report:
    """Judge the label maps behind a table of counts.

    Args:
        counts: Pixels by true (row) and found label, shape (11, 11).

    Raises:
        BadArray: a table of another size.
        NotEnoughData: no pixel of any class but the background.
    """
    return Report(
        name=PROTOCOL.name,
        version=PROTOCOL.version,
        values=summarized(counts, names=CLASSES, merges=MERGES),
        provenance=provenance,
    )


PROTOCOL = Protocol(
    name="parsing-helen",
    version="1",
    source="Smith et al., Exemplar-Based Face Parsing, CVPR 2013 (Helen)",
    needs=("label maps found and true, counted with `confusion(..., classes=11)`",),
    score=score,
)
