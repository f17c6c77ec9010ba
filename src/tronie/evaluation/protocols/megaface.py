"""MegaFace: find the other photograph of a person among a million distractors.

    rank_K             pairs of two photographs of one person, each in turn the probe and the
                       other its mate in a gallery of all distractors: those with fewer than K
                       distractors at the mate's score or above
    tar_at_far_F       genuine pairs accepted where at most F of the pairs of a probe and a
                       distractor are
    probes, people, distractors, genuine_pairs, impostor_pairs

"plain" takes every photograph. "cleaned" (the field's R) leaves out probes and distractors that
a noise list names.

Source: Kemelmacher-Shlizerman et al., "The MegaFace Benchmark", CVPR 2016; the noise lists and
their use: Deng et al., "ArcFace", CVPR 2019, and its released scripts.
Differs: a tie with a distractor counts against the mate. In the released scripts, "cleaned"
moves a listed probe close to the mean of its person's clean photographs, which makes it easy,
and a listed distractor out of everybody's reach while it stays in the count; here both are
left out, so their test labels change no feature. TAR at a FAR is exact over all pairs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from tronie.errors import BadArray, BadInput, NotEnoughData
from tronie.evaluation.metrics.identification import mate_ranks
from tronie.evaluation.metrics.top_matches import (
    NOBODY,
    Progress,
    best_of_cross,
    best_others,
    part_of,
)
from tronie.evaluation.metrics.verification import accepts_allowed
from tronie.evaluation.pairs.blocks import genuine_pairs
from tronie.evaluation.pairs.scores import Rows, check_rows, exact_scores
from tronie.evaluation.protocol import Protocol
from tronie.evaluation.report import Report, Value
from tronie.evaluation.report_parts import Details
from tronie.evaluation.score_details import details_of_scores, notes_on_fars, tar_values
from tronie.evaluation.searches import rank_value, rate_over_people
from tronie.provenance import Provenance

FORMS = ("plain", "cleaned")
FARS = (1e-6,)
RANKS = (1,)


def score(
    unit: Rows,
    people: NDArray[np.integer],
    *,
    form: str = "plain",
    listed: NDArray[np.bool_] | None = None,
    fars: Sequence[float] = FARS,
    ranks: Sequence[int] = RANKS,
    provenance: Provenance | None = None,
    progress: Progress | None = None,
) -> Report:
    """Judge embeddings of probes and distractors.

    Args:
        unit: Unit rows, shape (N, D) float32; may be memory-mapped.
        people: Whose each row is, shape (N,): 0 or more for a probe, -1 for a distractor.
        form: "plain", or "cleaned", which needs `listed`.
        listed: Which rows the noise lists name, shape (N,).
        fars: In (0, 1); one below one in all probe-distractor pairs is left out, with a note.
        ranks: For rank_K.
        progress: Called with (done, total) comparisons of a probe with a row of the gallery.

    Raises:
        BadArray: a row has no length 1, or shapes do not fit.
        BadInput: no such form, or `listed` is missing or has no use; a FAR or rank is none.
        NotEnoughData: no distractor, no person with two photographs, or no FAR that can be
            measured.
    """
    check_rows(unit)
    stays = _stays(form, listed, len(unit))
    whose = np.asarray(people, np.int64)
    probes = np.flatnonzero(stays & (whose != NOBODY))
    distractors = np.flatnonzero(stays & (whose == NOBODY))
    first, second = _genuine(whose, probes)
    if len(first) == 0 or len(distractors) == 0:
        raise NotEnoughData(
            f"MegaFace needs two photographs of a person and a distractor; got {len(first)} "
            f"pairs of one person and {len(distractors)} distractors"
        )
    mates = exact_scores(unit, first, second)
    pairs = len(probes) * len(distractors)  # each is met twice: for the ranks, and for the FARs
    nearest = best_others(
        unit,
        whose,
        probes=probes,
        gallery=distractors,
        top=max(ranks, default=1),
        progress=part_of(progress, before=0, total=2 * pairs),
    )
    place = np.searchsorted(probes, np.concatenate([first, second]))  # each in turn is the probe
    found = mate_ranks(np.concatenate([mates, mates]), nearest[place])
    searching = whose[probes[place]]
    values = {f"rank_{rank}": rank_value(found, rank, people=searching) for rank in ranks}
    told = part_of(progress, before=pairs, total=2 * pairs)
    details = _verification(unit, mates, probes, distractors, fars, told)
    points = tuple(
        replace(p, tar_interval=rate_over_people(mates >= p.threshold, whose[first]).interval)
        for p in details.points
    )
    details = replace(details, points=points)
    values |= tar_values(details.points)
    values |= {
        "probes": Value(value=len(probes), unit="photographs"),
        "people": Value(value=len(np.unique(whose[probes])), unit="people"),
        "distractors": Value(value=len(distractors), unit="photographs"),
    }
    notes = [*notes_on_fars(fars, pairs)]
    if form == "cleaned":
        notes.append(f"{int((~stays).sum())} rows that the noise lists name were left out")
    return Report(
        name=PROTOCOL.name,
        version=PROTOCOL.version,
        values=values,
        details=details,
        notes=tuple(notes),
        provenance=provenance,
    )


def _stays(form: str, listed: NDArray[np.bool_] | None, rows: int) -> NDArray[np.bool_]:
    if form not in FORMS:
        raise BadInput(f"there is no form {form!r} of MegaFace; choose from {', '.join(FORMS)}")
    if (listed is None) == (form == "cleaned"):
        needs = "needs" if listed is None else "has no use for"
        raise BadInput(f"the {form} form {needs} the noise lists (listed)")
    if listed is None:
        return np.ones(rows, np.bool_)
    if listed.shape != (rows,) or listed.dtype != np.bool_:
        raise BadArray(
            f"listed must be true or false for each of the {rows} rows; "
            f"got {listed.dtype} of shape {listed.shape}"
        )
    return ~listed


def _genuine(
    whose: NDArray[np.int64], probes: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows of every unordered pair of probes of one person."""
    if len(probes) == 0:
        return probes, probes
    first, second = genuine_pairs(whose[probes])
    return probes[first], probes[second]


def _verification(
    unit: Rows,
    mates: NDArray[np.float64],
    probes: NDArray[np.int64],
    distractors: NDArray[np.int64],
    fars: Sequence[float],
    progress: Progress | None,
) -> Details:
    pairs = len(probes) * len(distractors)
    keep = min(pairs, max((accepts_allowed(far, pairs) for far in fars), default=0) + 1)
    tail = best_of_cross(unit, probes=probes, gallery=distractors, top=keep, progress=progress)
    return details_of_scores(mates, tail, fars=fars, impostor_pairs=pairs)


PROTOCOL = Protocol(
    name="megaface",
    version="1",
    source="Kemelmacher-Shlizerman et al., The MegaFace Benchmark, CVPR 2016",
    needs=(
        "a feature matrix of probes and distractors, one row a photograph",
        "a table with the column subject (-1: distractor), and for the cleaned form listed (0, 1)",
    ),
    score=score,
)
