r"""Average precision of a ranked list, cut at a length: the A and P of MAP@100.

    AP@L = sum over places j <= L of relevant(j) * precision(j), divided by a denominator
    precision(j)      relevant entries among the first j, over j

    denominator "capped"   min(m, L), with m relevant entries in all: a list can reach 1
                "all"      m: a query with more than L relevant entries cannot
                "found"    relevant entries among the first L: entries never found cost nothing

Source: Liu et al., "iQIYI-VID", arXiv:1811.07548 (MAP@100). Editions of that challenge differ in
the denominator, so it is named with every number; "capped" is the default here.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tronie.errors import BadArray, BadInput

DENOMINATORS = ("capped", "all", "found")


def average_precision(
    relevant: NDArray[np.bool_], *, positives: int, limit: int = 100, denominator: str = "capped"
) -> float:
    """Average precision of one ranked list.

    Args:
        relevant: Whether each entry is relevant, best first, shape (J,); entries after `limit`
            are not looked at.
        positives: m, relevant entries in all, found or not; 1 or more.
        limit: L.
        denominator: One of DENOMINATORS.

    Returns:
        A fraction in [0, 1]; 0 where nothing relevant was found.

    Raises:
        BadInput: no such denominator, `positives` or `limit` below 1, or more relevant
            entries in the list than `positives`.
        BadArray: `relevant` is not (J,) of true and false.

    Example:
        >>> average_precision(np.array([True, False, True]), positives=2)
        0.8333333333333333
    """
    if denominator not in DENOMINATORS:
        known = ", ".join(DENOMINATORS)
        raise BadInput(f"there is no denominator {denominator!r}; choose from {known}")
    if relevant.ndim != 1 or relevant.dtype != np.bool_:
        raise BadArray(
            f"relevance must be true or false by rank, of shape (J,); "
            f"got {relevant.dtype} of shape {relevant.shape}"
        )
    found = int(np.count_nonzero(relevant))
    if limit < 1 or positives < max(1, found):
        raise BadInput(
            f"need a limit of 1 or more and as many positives as the list holds, 1 at least; "
            f"got limit {limit} and {positives} positives, {found} of them in the list"
        )
    places = np.flatnonzero(relevant[:limit]) + 1
    if len(places) == 0:
        return 0.0
    precisions = np.arange(1, len(places) + 1) / places
    over = {"capped": min(positives, limit), "all": positives, "found": len(places)}
    return float(precisions.sum()) / over[denominator]
