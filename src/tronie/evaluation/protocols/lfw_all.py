"""LFW, all pairs: every photograph of the protocol against every other, TAR at tight FARs.

The ten folds have 3,000 impostor pairs and say nothing below an FAR of 1e-3. The same 7,701
photographs have 29,640,749 impostor and 8,101 genuine pairs, which reach an FAR of 1e-6 with
29 false matches behind it.

    row     TAR at FAR 1e-6, 1e-5, 1e-4, 1e-3

A photograph without a face has no row: the pairs it would have had are left out, and their
number is in the notes (ISO/IEC 19795-1 counts them as failures to acquire).

Source: Huang et al., UMass TR 07-49, 2007 (the photographs); Liao et al., "A benchmark study of
large-scale unconstrained face recognition" (BLUFR), IJCB 2014, for the idea. Differs from it:
no folds and no training set; all photographs that pairs.txt names, once.
"""

from __future__ import annotations

from collections.abc import Mapping

from tronie.evaluation.pairs.far_row import SET, row_report
from tronie.evaluation.pairs.sets import MeasuredSet, PairSet
from tronie.evaluation.protocol import Protocol
from tronie.evaluation.report import Report
from tronie.provenance import Provenance

ROW = (1e-3, 1e-4, 1e-5, 1e-6)


def pair_sets() -> list[PairSet]:
    """The one set: everybody against everybody, at those FARs of the row that are possible."""
    return [PairSet(name=SET, fars=ROW)]


def score(measured: Mapping[str, MeasuredSet], *, provenance: Provenance | None = None) -> Report:
    """The row.

    Args:
        measured: The set "pairs", measured.

    Returns:
        A Report with a TAR for each FAR.
    """
    return row_report(
        PROTOCOL.name, PROTOCOL.version, measured, headline=None, provenance=provenance
    )


PROTOCOL = Protocol(
    name="lfw-all",
    version="1",
    source="Huang et al., Labeled Faces in the Wild, 2007, all pairs of its photographs",
    needs=("pairs.txt and the photographs it names, unpacked or in their zip",),
    score=score,
)
