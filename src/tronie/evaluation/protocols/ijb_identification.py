"""IJB-B and IJB-C, 1:N: templates searched in two galleries of people the other does not hold.

    rank_K                  mated searches of both galleries with the mate among the K best
    tpir_at_fpir_F          mean over the galleries; each gallery's own, with its counts, as
                            "G1_tpir_at_fpir_F"
    G1_rank_K, G1_mated_probes, G1_nonmated_probes, ... and the same for each gallery

Every probe template is searched in every gallery. It is mated where its subject is enrolled:
a probe that is mated in one gallery is non-mated in the other.

Source: Whitelam et al., "IARPA Janus Benchmark-B", CVPRW 2017; Maze et al., "IARPA Janus
Benchmark-C", ICB 2018, section 4.
Differs from the scripts of InsightFace: the threshold is the exact one, unless "published" is
asked for, which reproduces theirs (`tronie.evaluation.metrics.identification`); a tie with
the mate counts against it in both.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from tronie.errors import NotEnoughData
from tronie.evaluation.metrics.top_matches import Progress, part_of
from tronie.evaluation.pairs.scores import Rows, check_rows
from tronie.evaluation.protocol import Protocol
from tronie.evaluation.report import Report, Value
from tronie.evaluation.report_parts import Details
from tronie.evaluation.searches import (
    POINTS_ARE_SEARCHES,
    Searches,
    rank_value,
    search,
    searched,
)
from tronie.provenance import Provenance

FPIRS = (0.1, 0.01)
RANKS = (1, 5, 10)


def score(
    unit: Rows,
    subjects: NDArray[np.integer],
    *,
    probes: NDArray[np.integer],
    galleries: Mapping[str, NDArray[np.integer]],
    fpirs: Sequence[float] = FPIRS,
    ranks: Sequence[int] = RANKS,
    rule: str = "conservative",
    provenance: Provenance | None = None,
    progress: Progress | None = None,
) -> Report:
    """Judge templates by their searches.

    Args:
        unit: One unit row a template, shape (T, D) float32.
        subjects: Whom each shows, shape (T,): 0 or more, or -1 for nobody known.
        probes: Rows of the probe templates.
        galleries: Name to rows, such as "G1" and "G2".
        fpirs: In (0, 1); one that a gallery's non-mated probes cannot measure is left out.
        ranks: For rank_K.
        rule: "conservative" or "published".
        progress: Called with (done, total) comparisons of a probe with a row of the gallery.

    Raises:
        BadArray: a row has no length 1, or shapes do not fit.
        BadInput: a template is both probe and gallery; an FPIR, a rank or the rule is none.
        NotEnoughData: no gallery, no probes, or a gallery without a mated probe.
    """
    if not galleries:
        raise NotEnoughData("a search needs a gallery; got none")
    check_rows(unit)
    total = len(probes) * sum(map(len, galleries.values()))
    found: dict[str, Searches] = {}
    done = 0
    for name, rows in galleries.items():
        found[name] = search(
            unit,
            subjects,
            probes=probes,
            gallery=rows,
            deepest=max(ranks, default=1),
            progress=part_of(progress, before=done, total=total),
        )
        done += len(probes) * len(rows)
    told = {
        name: searched(searches, fpirs=fpirs, ranks=ranks, rule=rule, of=name)
        for name, searches in found.items()
    }
    all_ranks = np.concatenate([searches.ranks for searches in found.values()])
    people = np.concatenate([searches.people for searches in found.values()])
    values = {f"rank_{rank}": rank_value(all_ranks, rank, people=people) for rank in ranks}
    for fpir in fpirs:
        names = [f"{name}_tpir_at_fpir_{fpir:g}" for name in galleries]
        rates = [
            part.values[n].value
            for part, n in zip(told.values(), names, strict=True)
            if n in part.values
        ]
        if len(rates) == len(galleries):
            mean = sum(rates) / len(rates)
            values[f"tpir_at_fpir_{fpir:g}"] = Value(value=mean, unit="fraction")
    notes = [note for part in told.values() for note in part.notes]
    details = Details(
        points=tuple(point for part in told.values() for point in part.details.points),
        histograms=tuple(h for part in told.values() for h in part.details.histograms),
    )
    if details.points:
        notes.append(f"{POINTS_ARE_SEARCHES}; the mate at rank 1, {rule} threshold")
    return Report(
        name=PROTOCOL.name,
        version=PROTOCOL.version,
        values=values | {n: v for part in told.values() for n, v in part.values.items()},
        details=details,
        notes=tuple(notes),
        provenance=provenance,
    )


PROTOCOL = Protocol(
    name="ijb-identification",
    version="1",
    source="Maze et al., IARPA Janus Benchmark-C, ICB 2018; Whitelam et al., IJB-B, CVPRW 2017",
    needs=(
        "ijbc_face_tid_mid.txt: image, template and medium of every row of the features",
        "ijbc_1N_gallery_G1.csv and ijbc_1N_gallery_G2.csv: template and subject",
        "ijbc_1N_probe_mixed.csv: the same for the probes",
    ),
    score=score,
)
