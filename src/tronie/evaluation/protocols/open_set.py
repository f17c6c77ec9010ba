"""Open-set identification: find who is in the gallery, and nobody for those who are not.

    rank_K               mated probes whose person is among the K best, of all mated probes
    tpir_at_fpir_F       mated probes whose person is best and scores the threshold or more,
                         where at most F of the non-mated probes reach it with anybody
    mated_probes, nonmated_probes

A gallery may hold several rows of a person, who scores as the best of them. Ties count against
the person to be found, and the FPIR measured is never above the one asked for.

Source: ISO/IEC 19795-1:2021, identification; as NIST's FRTE 1:N reports FNIR at a fixed FPIR.
Differs: TPIR is printed, which is 1 - FNIR, and a failure to enroll is left out, not counted.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tronie.evaluation.metrics.top_matches import Progress
from tronie.evaluation.pairs.scores import Rows, check_rows
from tronie.evaluation.protocol import Protocol
from tronie.evaluation.report import Report
from tronie.evaluation.searches import POINTS_ARE_SEARCHES, search, searched
from tronie.provenance import Provenance

FPIRS = (0.1, 0.01, 0.001)
RANKS = (1, 5, 10)


def score(
    unit: Rows,
    people: NDArray[np.integer],
    *,
    gallery: NDArray[np.integer],
    probes: NDArray[np.integer],
    fpirs: Sequence[float] = FPIRS,
    ranks: Sequence[int] = RANKS,
    within: int = 1,
    rule: str = "conservative",
    provenance: Provenance | None = None,
    progress: Progress | None = None,
) -> Report:
    """Judge embeddings by searches of probes in a gallery.

    Args:
        unit: Unit rows, shape (N, D) float32; may be memory-mapped.
        people: Whose each row is, shape (N,): 0 or more, or -1 for nobody known.
        gallery: Rows of the gallery.
        probes: Rows of the probes; those whose person is not in the gallery are non-mated.
        fpirs: In (0, 1); one below one in all non-mated probes is left out, with a note.
        ranks: For rank_K.
        within: TPIR asks for the person among so many, 1 or more.
        rule: "conservative", or "published": see `tronie.evaluation.metrics.identification`.
        progress: Called with (done, total) comparisons of a probe with a row of the gallery.

    Raises:
        BadArray: a row has no length 1, or shapes do not fit.
        BadInput: a row is both probe and gallery; an FPIR, a rank or the rule is none.
        NotEnoughData: no gallery, no probes, or none of them mated.
    """
    check_rows(unit)
    found = search(
        unit,
        people,
        probes=probes,
        gallery=gallery,
        deepest=max([*ranks, within]),
        progress=progress,
    )
    told = searched(found, fpirs=fpirs, ranks=ranks, rule=rule, within=within)
    notes = list(told.notes)
    if told.details.points:
        notes.append(f"{POINTS_ARE_SEARCHES}; the person within rank {within}, {rule} threshold")
    return Report(
        name=PROTOCOL.name,
        version=PROTOCOL.version,
        values=told.values,
        details=told.details,
        notes=tuple(notes),
        provenance=provenance,
    )


PROTOCOL = Protocol(
    name="open-set",
    version="1",
    source="ISO/IEC 19795-1:2021, identification: FNIR at a fixed FPIR",
    needs=(
        "a feature matrix, one row a face",
        "a table with the columns subject and role (gallery or probe), one line a row",
    ),
    score=score,
)
