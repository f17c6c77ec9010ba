"""iQIYI-VID: for every person, the videos of that person among all, best first.

    map_at_100     mean over people of the average precision of their best 100 videos
    queries        people with at least one video
    videos

Each person's query is one template; each video is one row. Equal scores are ranked against the
person: videos of others first.

Source: Liu et al., "iQIYI-VID: A Large Dataset for Multi-modal Person Identification",
arXiv:1811.07548.
Differs: the denominator of the average precision is named with the number, since editions
differ (`tronie.evaluation.metrics.retrieval`). The published systems rank by a classifier
over the training people; here a person is asked for by a template.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tronie.errors import BadInput, NotEnoughData
from tronie.evaluation.metrics.retrieval import average_precision
from tronie.evaluation.metrics.top_matches import NOBODY, Progress, best_rows
from tronie.evaluation.pairs.scores import Rows, check_rows
from tronie.evaluation.protocol import Protocol
from tronie.evaluation.report import Report, Value
from tronie.evaluation.report_parts import Details
from tronie.evaluation.score_details import histograms_of_scores
from tronie.provenance import Provenance

LIMIT = 100


def score(
    unit: Rows,
    people: NDArray[np.integer],
    *,
    queries: NDArray[np.integer],
    videos: NDArray[np.integer],
    limit: int = LIMIT,
    denominator: str = "capped",
    provenance: Provenance | None = None,
    progress: Progress | None = None,
) -> Report:
    """Judge templates by what they retrieve.

    Args:
        unit: Unit rows, shape (N, D) float32; may be memory-mapped.
        people: Whose each row is, shape (N,): 0 or more, or -1 for nobody known.
        queries: Rows that ask, one a person.
        videos: Rows that are ranked.
        limit: Videos of each query that are looked at.
        denominator: "capped", "all" or "found": see `metrics.retrieval`.
        progress: Called with (done, total) comparisons of a probe with a row of the gallery.

    Raises:
        BadArray: a row has no length 1, or shapes do not fit.
        BadInput: two queries are of one person, or one of nobody; `limit` or `denominator`
            is none.
        NotEnoughData: no query has a video.
    """
    check_rows(unit)
    asking = np.asarray(people)[queries]
    names, times = np.unique(asking, return_counts=True)
    if NOBODY in names or times.max(initial=1) > 1:
        raise BadInput(
            f"a query asks for one known person, once; got {len(queries)} queries for "
            f"{len(names[names != NOBODY])} people"
        )
    whose = np.asarray(people)[videos]
    ranked = np.sort(whose)
    positives = np.searchsorted(ranked, asking, side="right") - np.searchsorted(ranked, asking)
    known = np.flatnonzero(positives)
    if len(known) == 0:
        raise NotEnoughData("MAP needs a person with a query and a video; got none")
    found = best_rows(
        unit, people, probes=queries[known], gallery=videos, top=limit, progress=progress
    )
    listed = found.rows >= 0
    relevant = listed & (np.asarray(people)[found.rows] == asking[known][:, None])
    precisions = [
        average_precision(row[there], positives=int(m), limit=limit, denominator=denominator)
        for row, there, m in zip(relevant, listed, positives[known], strict=True)
    ]
    notes = [f"the denominator of the average precision is {denominator!r}"]
    if len(known) < len(queries):
        notes.append(f"left out: {len(queries) - len(known)} people without a video")
    return Report(
        name=PROTOCOL.name,
        version=PROTOCOL.version,
        values={
            f"map_at_{limit}": Value(value=float(np.mean(precisions)), unit="fraction"),
            "queries": Value(value=len(known), unit="people"),
            "videos": Value(value=len(videos), unit="videos"),
        },
        details=Details(
            histograms=histograms_of_scores(
                found.scores[relevant], found.scores[listed & ~relevant], of="retrieved"
            )
        ),
        notes=tuple(notes),
        provenance=provenance,
    )


PROTOCOL = Protocol(
    name="iqiyi-vid",
    version="1",
    source="Liu et al., iQIYI-VID, arXiv:1811.07548: MAP@100 over people",
    needs=(
        "a feature matrix, one row a video or a face of a query",
        "a table with the columns subject and role (query or video), one line a row",
    ),
    score=score,
)
