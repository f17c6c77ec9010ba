"""MFR21, InsightFace track: masked, young and multi-racial faces, all pairs, one score.

    set             pairs                                  FAR
    mask            masked against not masked              1e-4
    children        all to all                             1e-4
    african, caucasian, south-asian, east-asian, mr-all
                    all to all; mr-all is all four races   1e-6

    score = 0.25 TAR(mask) + 0.75 TAR(mr-all), of rates that are not rounded

The README of the challenge gives for each all-to-all set N^2 - N - P negative pairs, of N
images and P genuine pairs: ordered pairs less the genuine ones counted once. Here pairs are
unordered, N (N - 1) / 2 - P of them are impostor pairs, and FAR is the same. Both counts are
in the Report. The races are compared at the threshold of mr-all too, as groups.

Source: README of the InsightFace track, ICCV 2021 Masked Face Recognition Challenge; Deng et
al., ICCVW 2021. Differs from it: the server's program was not published. The threshold never
lets the FAR be exceeded, as the README asks ("FAR less than"), and ties are refused together.
The published 96,983,824 negative pairs of the mask set are 3,160 more than its images give.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from tronie.errors import BadInput
from tronie.evaluation.pairs.sets import MeasuredSet, PairSet, all_details
from tronie.evaluation.protocol import Protocol
from tronie.evaluation.report import Report, Value
from tronie.provenance import Provenance

MASKED, PLAIN = "mask-masked", "mask-plain"
RACES = ("african", "caucasian", "south-asian", "east-asian")
KNOWN = (MASKED, PLAIN, "children", *RACES)
"""What the column `set` of META may hold."""

FAR_MASK, FAR_CHILDREN, FAR_RACES = 1e-4, 1e-4, 1e-6
ORDER = ("mask", "children", *RACES, "mr-all")
WEIGHTS = {"mask": 0.25, "mr-all": 0.75}


def pair_sets(of_row: Sequence[str]) -> list[PairSet]:
    """The sets that are there, from the column `set` of META, one entry a row.

    Raises:
        BadInput: an entry is none of KNOWN, or one half of the mask set is missing.
    """
    column = np.asarray(of_row, dtype=np.str_)
    if strange := sorted(set(np.unique(column).tolist()) - set(KNOWN)):
        raise BadInput(f"the column set holds {strange[0]!r}; it may hold {', '.join(KNOWN)}")
    present = {name: column == name for name in KNOWN if (column == name).any()}
    sets = []
    if (MASKED in present) != (PLAIN in present):
        raise BadInput(f"the mask set needs rows of both {MASKED} and {PLAIN}; got one of them")
    if MASKED in present:
        sets.append(
            PairSet(name="mask", fars=(FAR_MASK,), group=present[MASKED], against=present[PLAIN])
        )
    if "children" in present:
        sets.append(PairSet(name="children", fars=(FAR_CHILDREN,), group=present["children"]))
    races = [name for name in RACES if name in present]
    sets += [PairSet(name=name, fars=(FAR_RACES,), group=present[name]) for name in races]
    if len(races) == len(RACES):
        everybody = np.isin(column, RACES)
        sets.append(
            PairSet(name="mr-all", fars=(FAR_RACES,), group=everybody, groups=_names(column))
        )
    if not sets:
        raise BadInput("META has no rows; give one line for each row of the features")
    return sets


def published_negatives(images: int, genuine_pairs: int) -> int:
    """The count of negative pairs of an all-to-all set as the README gives it: N^2 - N - P."""
    return images * images - images - genuine_pairs


def score(measured: Mapping[str, MeasuredSet], *, provenance: Provenance | None = None) -> Report:
    """The score and the row of the leaderboard.

    Args:
        measured: Name of the set to what it gave; those of `pair_sets`.

    Returns:
        A Report with a TAR for each set, and "score" where mask and mr-all are there.
    """
    values: dict[str, Value] = {}
    notes = ["pairs are unordered, each counted once; FAR is that of ordered pairs too"]
    for name in ORDER:
        if name not in measured:
            notes.append(f"{name}: not measured, META has no rows of it")
            continue
        one = measured[name]
        point = one.details.points[0]
        values[name] = Value(
            value=point.tar,
            unit="fraction",
            count=point.accepted,
            total=point.genuine_pairs,
            interval=point.tar_interval,
        )
        if one.chosen.itself:
            published = published_negatives(one.images, point.genuine_pairs)
            notes.append(
                f"{name}: {one.images} images, {point.genuine_pairs} genuine and "
                f"{point.impostor_pairs} impostor pairs; as the challenge counts them "
                f"{published} negative pairs (N^2 - N - P)"
            )
        notes += [f"{name}: {point.note}"] if point.note else []
    if all(name in values for name in WEIGHTS):
        total = sum(weight * values[name].value for name, weight in WEIGHTS.items())
        values = {"score": Value(value=total, unit="fraction"), **values}
    else:
        notes.append("no score: it needs the mask set and all four races")
    return Report(
        name=PROTOCOL.name,
        version=PROTOCOL.version,
        values=values,
        details=all_details(measured, ORDER),
        notes=tuple(notes),
        provenance=provenance,
    )


def _names(column: NDArray[np.str_]) -> NDArray[np.str_]:
    return np.where(np.isin(column, RACES), column, "").astype(np.str_)


PROTOCOL = Protocol(
    name="mfr21",
    version="1",
    source="ICCV 2021 Masked Face Recognition Challenge, InsightFace track, README",
    needs=(
        "a feature matrix (N, D) float32, one row an image",
        f"META, a CSV of one line a row: set ({', '.join(KNOWN)}) and subject",
    ),
    score=score,
)
