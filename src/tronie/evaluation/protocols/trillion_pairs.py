"""Trillion-Pairs: every probe against every gallery row, TPR at FPR 1e-9.

    headline    verification: TPR at FPR 1e-9 over probe x gallery
    row         TPR at FPR 1e-11, 1e-10, ..., 1e-1; what is below one in all impostor pairs is
                left out and named

The challenge's probes are 274 thousand images of 5.7 thousand people, its gallery 1.58 million
images, most of them of nobody who is asked for (subject -1). Its second number, identification
at FPR 1e-3, is what the protocol open-set gives at an FPIR of 1e-3.

Source: Trillion Pairs, DeepGlint, 2018; numbers as in Deng et al., "ArcFace", CVPR 2019 (Table
"MS1MV2: 80.968 identification, 78.600 verification"; published, not reproduced).
Differs from it: its list of pairs was never published; here every probe meets every gallery row.
The FPR is never exceeded, and ties are refused together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tronie.evaluation.pairs.far_row import probe_gallery_set, row_report
from tronie.evaluation.pairs.sets import MeasuredSet, PairSet
from tronie.evaluation.protocol import Protocol
from tronie.evaluation.report import Report
from tronie.provenance import Provenance

HEADLINE = 1e-9
ROW = tuple(float(f"1e-{power}") for power in range(11, 0, -1))


def pair_sets(sides: Sequence[str] | None) -> list[PairSet]:
    """The one set: probes against the gallery by the column `side` of META.

    Raises:
        BadInput: an entry of `sides` is neither "probe" nor "gallery", or one is missing.
    """
    return [probe_gallery_set(sides, fars=(HEADLINE, *ROW))]


def score(measured: Mapping[str, MeasuredSet], *, provenance: Provenance | None = None) -> Report:
    """The headline and the row.

    Args:
        measured: The set "pairs", measured.

    Returns:
        A Report whose "score" is the headline.
    """
    return row_report(
        PROTOCOL.name, PROTOCOL.version, measured, headline=HEADLINE, provenance=provenance
    )


PROTOCOL = Protocol(
    name="trillion-pairs",
    version="1",
    source="Trillion Pairs challenge, DeepGlint, 2018",
    needs=(
        "a feature matrix (N, D): an .npy, or four int32 and the rows",
        "META, a CSV of one line a row: subject (-1: nobody) and side (probe or gallery)",
    ),
    score=score,
)
