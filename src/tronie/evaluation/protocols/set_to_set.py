"""Set to set, 1:1: biometric templates of several photographs each, compared as listed.

    tar_at_far_F       TAR where at most F of the impostor pairs of templates are accepted
    genuine_pairs, impostor_pairs

A template is made from its photographs by a named pooling (`tronie.geometry.templates`); each
listed pair of templates is compared once, by the cosine.

Source: ISO/IEC 19795-1:2021, where a biometric template may hold several samples; the form of
the lists is ours.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tronie.errors import BadArray
from tronie.evaluation.protocol import Protocol
from tronie.evaluation.report import Report
from tronie.evaluation.score_details import details_of_scores, notes_on_fars, tar_values
from tronie.provenance import Provenance

FARS = (1e-2, 1e-3, 1e-4, 1e-5, 1e-6)


def score(
    scores: NDArray[np.floating],
    same: NDArray[np.bool_],
    *,
    fars: Sequence[float] = FARS,
    provenance: Provenance | None = None,
) -> Report:
    """Judge the scores of pairs of templates.

    Args:
        scores: One a pair, larger is more alike, shape (P,), finite.
        same: Whether both templates are of one person, shape (P,).
        fars: In (0, 1); one below one in all impostor pairs is left out, with a note.

    Raises:
        BadArray: shapes do not fit, or a score is not finite.
        BadInput: a FAR is outside (0, 1).
        NotEnoughData: no pair of one kind, or no FAR that can be measured.
    """
    if scores.ndim != 1 or same.shape != scores.shape or same.dtype != np.bool_:
        raise BadArray(
            f"each pair needs a score and true or false; got scores of shape {scores.shape} and "
            f"{same.dtype} of shape {same.shape}"
        )
    genuine, impostor = scores[same], scores[~same]
    details = details_of_scores(genuine, impostor, fars=fars)
    return Report(
        name=PROTOCOL.name,
        version=PROTOCOL.version,
        values=tar_values(details.points),
        details=details,
        notes=(
            *notes_on_fars(fars, len(impostor)),
            "intervals are optimistic: the pair list names no people to draw from",
        ),
        provenance=provenance,
    )


PROTOCOL = Protocol(
    name="set-to-set",
    version="1",
    source="ISO/IEC 19795-1:2021: templates of several samples; the lists are tronie's own",
    needs=(
        "a feature matrix, and a list of its images, one line a row",
        "a template list: TEMPLATE IMAGE, one line an image of a template",
        "a pair list: TEMPLATE TEMPLATE 0|1",
    ),
    score=score,
)
