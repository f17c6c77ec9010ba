"""A row of FARs over one set of pairs: what the LFR19 tracks and Trillion-Pairs share.

The set is everybody against everybody, or every probe against every row of a gallery.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from tronie.errors import BadInput
from tronie.evaluation.pairs.sets import MeasuredSet, PairSet, all_details
from tronie.evaluation.report import Report, Value
from tronie.provenance import Provenance

SET = "pairs"
"""The name of the set."""
SIDES = ("probe", "gallery")


def probe_gallery_set(sides: Sequence[str] | None, *, fars: Sequence[float]) -> PairSet:
    """All pairs, or each probe with each gallery row.

    Args:
        sides: "probe" or "gallery" for each row; None: everybody meets everybody.
        fars: The headline first.

    Raises:
        BadInput: an entry is something else, or all rows are on one side.
    """
    asked = (fars[0], *sorted(set(fars) - {fars[0]}))
    if sides is None:
        return PairSet(name=SET, fars=asked)
    column = np.asarray(sides, dtype=np.str_)
    for line, side in enumerate(sides, start=2):
        if side not in SIDES:
            raise BadInput(f"line {line} of META has the side {side!r}; it is probe or gallery")
    probe = column == SIDES[0]
    if probe.all() or not probe.any():
        raise BadInput(
            f"META has {int(probe.sum())} probes and {int((~probe).sum())} gallery rows; it needs "
            "both, or no column side where everybody meets everybody"
        )
    return PairSet(name=SET, fars=asked, group=probe, against=~probe)


def row_report(
    name: str,
    version: str,
    measured: Mapping[str, MeasuredSet],
    *,
    headline: float | None,
    provenance: Provenance | None,
) -> Report:
    """A Report whose "score" is the TAR at `headline`, if any, with the whole row beside it."""
    one = measured[SET]
    values: dict[str, Value] = {}
    notes = ["pairs are unordered, each counted once"]
    for point in sorted(one.details.points, key=lambda point: point.far):
        value = Value(
            value=point.tar,
            unit="fraction",
            count=point.accepted,
            total=point.genuine_pairs,
            interval=point.tar_interval,
        )
        values[f"tar_at_far_{point.far:g}"] = value
        if point.far == headline:
            values = {"score": value, **values}
        if point.note:
            notes.append(f"FAR {point.far:g}: {point.note}")
        if point.sampled:
            notes.append(
                f"FAR {point.far:g}: estimated from {point.impostor_pairs} impostor pairs drawn "
                "at random; the interval says how well"
            )
    if one.too_tight:
        fars = ", ".join(f"{far:g}" for far in one.too_tight)
        notes.append(f"left out, below one in {one.chosen.impostor_pairs} impostor pairs: {fars}")
    return Report(
        name=name,
        version=version,
        values=values,
        details=all_details(measured, (SET,)),
        notes=(*notes, *one.result.notes),
        provenance=provenance,
    )
