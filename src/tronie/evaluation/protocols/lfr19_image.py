"""LFR19, image tracks: TPR at FPR 1e-8 over all pairs of DeepGlint-Image.

    headline    TPR at FPR 1e-8
    row         TPR at FPR 1e-11, 1e-10, ..., 1e-1, as the tables of the paper give it; what is
                below one in all impostor pairs is left out and named

Two tracks share these rules and differ in what the model may cost: deepglint-light (at most 1
GFLOPs by the challenge's rule, 20 MB) and deepglint-large (30 GFLOPs); both float32, at most 512
numbers a row. The challenge's matrix has 1,862,120 rows: 274 thousand images of 5.7 thousand
people and 1.58 million distractors.

Which pairs count was a mask matrix that was not published. Here: all pairs of labeled rows, and
of a labeled row with a distractor (subject -1); where META has a column `side`, every probe with
every gallery row instead. Single pairs can be left out.

Source: Deng et al., "Lightweight Face Recognition Challenge", ICCVW 2019; README of the
challenge. Published: 11,039,533 positive and 330,145,575,217 negative pairs.
Differs from it: the FPR is never exceeded, and ties are refused together; from an FPR of 1e-3 on
the row is an estimate from a sample with its interval, unless all pairs are asked for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tronie.evaluation.pairs.far_row import probe_gallery_set, row_report
from tronie.evaluation.pairs.sets import MeasuredSet, PairSet
from tronie.evaluation.protocol import Protocol
from tronie.evaluation.report import Report
from tronie.provenance import Provenance

HEADLINE = 1e-8
ROW = tuple(float(f"1e-{power}") for power in range(11, 0, -1))


def pair_sets(sides: Sequence[str] | None) -> list[PairSet]:
    """The one set: everybody, or probes against the gallery by the column `side` of META.

    Raises:
        BadInput: an entry of `sides` is neither "probe" nor "gallery", or one is missing.
    """
    return [probe_gallery_set(sides, fars=(HEADLINE, *ROW))]


def score(measured: Mapping[str, MeasuredSet], *, provenance: Provenance | None = None) -> Report:
    """The headline and the row of the paper's table.

    Args:
        measured: The set "pairs", measured.

    Returns:
        A Report whose "score" is the headline.
    """
    return row_report(
        PROTOCOL.name, PROTOCOL.version, measured, headline=HEADLINE, provenance=provenance
    )


PROTOCOL = Protocol(
    name="lfr19-image",
    version="1",
    source="ICCVW 2019 Lightweight Face Recognition Challenge, image tracks",
    needs=(
        "a feature matrix (N, D): an .npy, or the challenge's form of four int32 and the rows",
        "META, a CSV of one line a row: subject (-1: distractor), and side (probe or gallery) "
        "where not all pairs count",
    ),
    score=score,
)
