"""CelebAMask-HQ: F1 by part of the face, their mean, and mIoU.

    mean_f1           over the 18 classes but the background
    miou              over all 19
    f1_skin ...       each class; one that is nowhere is left out

Inputs: one table of counts, the sum of `confusion` over the photographs, shape
(19, 19). Maps are compared at the size of the photograph; 255 is not judged.

    0 ... 18        background, skin, nose, glasses, left eye, right eye, left brow, right
                    brow, left ear, right ear, mouth, upper lip, lower lip, hair, hat,
                    earring, necklace, neck, cloth

Source: Lee et al., "MaskGAN", CVPR 2020 (the labels); their order as in the released code
of Zheng et al., "DML-CSR", CVPR 2022.
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
    "nose",
    "glasses",
    "left_eye",
    "right_eye",
    "left_brow",
    "right_brow",
    "left_ear",
    "right_ear",
    "mouth",
    "upper_lip",
    "lower_lip",
    "hair",
    "hat",
    "earring",
    "necklace",
    "neck",
    "cloth",
)
MERGES: dict[str, tuple[str, ...]] = {}


def score(counts: NDArray[np.int64], *, provenance: Provenance | None = None) -> Report:
    """Judge the label maps behind a table of counts.

    Args:
        counts: Pixels by true (row) and found label, shape (19, 19).

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
    name="parsing-celebamask",
    version="1",
    source="Lee et al., MaskGAN, CVPR 2020 (CelebAMask-HQ)",
    needs=("label maps found and true, counted with `confusion(..., classes=19)`",),
    score=score,
)
