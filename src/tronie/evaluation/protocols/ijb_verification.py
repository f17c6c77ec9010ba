"""IJB-B and IJB-C, 1:1: templates of photographs and video frames, compared as listed.

    tar_at_far_F       TAR where at most F of the impostor pairs are accepted, F from 1e-1 to
                       1e-6
    tar_nearest_F      on request: TAR at the point of the ROC whose FAR is nearest to F, as
                       published numbers are; far_nearest_F is the FAR at that point
    genuine_pairs, impostor_pairs

At 1e-6 IJB-B's eight million impostor pairs leave eight false matches: such points are marked.
The pair list names templates and not subjects, so no bootstrap over subjects can be made from
it; intervals are Wilson's and say that they are optimistic.

Source: Whitelam et al., "IARPA Janus Benchmark-B", CVPRW 2017; Maze et al., "IARPA Janus
Benchmark-C", ICB 2018, section 4.
Differs from the scripts of InsightFace: the FAR is never above the one asked for; theirs is
the "nearest" rule of `tronie.evaluation.metrics.nearest_rule`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tronie.errors import BadArray, BadInput
from tronie.evaluation.metrics.nearest_rule import nearest_points, published_roc
from tronie.evaluation.protocol import Protocol
from tronie.evaluation.report import Report, Value
from tronie.evaluation.score_details import details_of_scores, notes_on_fars, tar_values
from tronie.provenance import Provenance

FARS = (1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6)
BESIDE = ("nothing", "nearest")


def score(
    scores: NDArray[np.floating],
    same: NDArray[np.bool_],
    *,
    fars: Sequence[float] = FARS,
    beside: str = "nothing",
    of: str = "",
    provenance: Provenance | None = None,
) -> Report:
    """Judge the scores of template pairs.

    Args:
        scores: One a pair, larger is more alike, shape (P,), finite.
        same: Whether both templates show one person, shape (P,).
        fars: In (0, 1); one below one in all impostor pairs is left out, with a note.
        beside: What to report beside the conservative values: "nothing", or "nearest".
        of: Which set: "IJB-B" or "IJB-C".

    Raises:
        BadArray: shapes do not fit, or a score is not finite.
        BadInput: a FAR is outside (0, 1), or `beside` is none of its names.
        NotEnoughData: no pair of one kind, or no FAR that can be measured.
    """
    if beside not in BESIDE:
        raise BadInput(f"there is no rule {beside!r} to report beside; choose from {BESIDE}")
    if scores.ndim != 1 or same.shape != scores.shape or same.dtype != np.bool_:
        raise BadArray(
            f"each pair needs a score and true or false; got scores of shape {scores.shape} and "
            f"{same.dtype} of shape {same.shape}"
        )
    genuine, impostor = scores[same], scores[~same]
    details = details_of_scores(genuine, impostor, fars=fars, of=of)
    values = tar_values(details.points)
    notes = [
        *notes_on_fars(fars, len(impostor), of=of),
        "intervals are optimistic: the pair list names no subjects to draw from",
    ]
    if beside == "nearest":
        measured = [point.far for point in details.points]
        for point in nearest_points(published_roc(genuine, impostor), measured):
            for name, rate in (("tar", point.tar), ("far", point.achieved_far)):
                values[f"{name}_nearest_{point.far:g}"] = Value(
                    value=rate.value, unit="fraction", count=rate.count, total=rate.total
                )
        notes.append("tar_nearest is the published rule: its FAR may be above the one asked for")
    return Report(
        name=PROTOCOL.name,
        version=PROTOCOL.version,
        values=values,
        details=details,
        notes=tuple(notes),
        provenance=provenance,
    )


PROTOCOL = Protocol(
    name="ijb-verification",
    version="1",
    source="Maze et al., IARPA Janus Benchmark-C, ICB 2018; Whitelam et al., IJB-B, CVPRW 2017",
    needs=(
        "ijbc_face_tid_mid.txt: image, template and medium of every row of the features",
        "ijbc_template_pair_label.txt: two templates and whether they show one person",
        "ijbc_name_5pts_score.txt: the detector's scores, where rows are weighted with them",
    ),
    score=score,
)
