"""How far apart groups of people are at one threshold: the largest rate over the middle one.

    ratio = max(rates) / (r_1 r_2 ... r_G)^(1/G)

1 where all groups fare alike. The threshold is the one of all people together, and each
group is compared with itself: what a person of that group meets in a system that was set
for everybody. FMR and FNMR have a ratio each; a rate of zero has no geometric mean, and
then there is no ratio, since it says that the group is too small for this FMR and not that
it fares infinitely well.

Letters: G groups.

Source: ISO/IEC 19795-10:2024; Grother, "Demographic differentials in face recognition
algorithms", NIST IR 8429 (FRVT part 8), 2022. Differs from them: a group without any pair
of a kind has no rate of that kind and is left out of that ratio; it is in the table.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from tronie.errors import BadInput
from tronie.evaluation.report_parts import GroupRate, Groups


def max_over_geometric_mean(rates: Sequence[float]) -> float | None:
    """The largest of `rates` over their geometric mean, 1 or more.

    Args:
        rates: FMR or FNMR of each group, fractions in [0, 1].

    Returns:
        The ratio; None where a rate is zero, or there are fewer than two.

    Raises:
        BadInput: a rate is outside [0, 1], or NaN.

    Example:
        >>> round(max_over_geometric_mean([0.01, 0.04]), 12)
        2.0
    """
    if strays := [rate for rate in rates if not 0 <= rate <= 1]:
        raise BadInput(f"the rate of a group must lie in [0, 1]; got {strays[0]}")
    if len(rates) < 2 or min(rates) == 0:
        return None
    # The mean of log(max / rate): groups that fare alike give exactly 1, tiny rates no overflow.
    top = math.log(max(rates))
    return math.exp(math.fsum(top - math.log(rate) for rate in rates) / len(rates))


def compared_groups(
    rates: Sequence[GroupRate], *, far: float, threshold: float, of: str = ""
) -> Groups:
    """Groups with the ratio of both rates.

    Args:
        rates: The counts of each group compared with itself at `threshold`.
        far: What the threshold was set for, over the pairs of all groups together.
        of: What divides people into these groups, such as "race".

    Raises:
        BadInput: a group is named twice.
    """
    names = [rate.group for rate in rates]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise BadInput(f"a group stands in the table once; {twice[0]!r} is there twice")
    return Groups(
        of=of,
        far=far,
        threshold=threshold,
        rates=tuple(rates),
        fmr_max_over_geomean=max_over_geometric_mean([r.fmr for r in rates if r.fmr is not None]),
        fnmr_max_over_geomean=max_over_geometric_mean(
            [r.fnmr for r in rates if r.fnmr is not None]
        ),
    )
