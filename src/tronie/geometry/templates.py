r"""Many embeddings to one: a template is the direction of a weighted sum of its rows.

    mean_of_unit      sum_k w_k f_k / |f_k|             each row at length 1 first (LFR19)
    mean_of_raw       sum_k w_k f_k                     a longer row, which a network gives to
                                                        a clearer face, counts more
    norm_cubed        sum_k w_k |f_k|^3 f_k             long rows count far more
    media_then_sum    sum_m (sum_k w_k f_k) / n_m       over the media m of the template, each
                                                        with its n_m rows: a video counts as
                                                        one photograph (IJB)

and then at length 1. The rows f_k are as the network gives them; rows that were normalized
before make the first two equal, and the third too. The weights w_k are 1, or detector scores:
they multiply rows, and the mean inside a medium divides by the number of its rows, not by the
sum of their weights, as the IJB scripts do.

All lengths and sums are float64, one addition after the other in the order of the rows (of the
rows of a medium, then of the media by rising number), rounded to float32 once at the end. So
the order of the rows changes a template by no more than that last rounding.

Letters: N rows, D numbers, T templates.

Source: Deng et al., "Lightweight Face Recognition Challenge", ICCVW 2019 (mean_of_unit); Whitelam
et al., "IARPA Janus Benchmark-B", CVPRW 2017, and the evaluation scripts of InsightFace for IJB
(media_then_sum); norm_cubed: teams of LFR19, as its report tells.
Differs: norms of a template are divided by the largest of them before they are cubed, which
changes nothing but overflow.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tronie.errors import BadArray, BadInput

POOLINGS = ("mean_of_unit", "mean_of_raw", "norm_cubed", "media_then_sum")

_TEMPLATES_AT_ONCE = 4096
_ROWS_AT_ONCE = 8192
_CANCELLED = 1e-12  # of the summed lengths: float64 rounding of a sum that is zero stays below


class Templates(NamedTuple):
    """One row a template."""

    names: NDArray[np.int64]
    """(T,), the numbers of the templates, rising."""
    unit: NDArray[np.float32]
    """(T, D), of length 1."""


def pool(
    features: NDArray[np.floating[Any]],
    template_of: NDArray[np.integer[Any]],
    *,
    pooling: str,
    media_of: NDArray[np.integer[Any]] | None = None,
    weights: NDArray[np.floating[Any]] | None = None,
) -> Templates:
    """The template of each group of rows.

    Args:
        features: Rows as the network gives them, shape (N, D), of any length but zero; may be
            memory-mapped, and is read twice in pieces.
        template_of: Which template each row belongs to, shape (N,).
        pooling: One of POOLINGS; see the top of this file.
        media_of: Which medium each row comes from, shape (N,): photographs have a number of
            their own, frames of one video share one. For media_then_sum, and only there.
        weights: What each row counts, shape (N,), 0 or more; 1 if None.

    Returns:
        Names (T,) and unit rows (T, D).

    Raises:
        BadInput: no such pooling, or `media_of` where it has no use or is missing.
        BadArray: shapes do not fit, a row is not finite or is zero, a weight is negative or
            not finite, or the rows of a template cancel out.

    Example:
        >>> rows = np.array([[3.0, 0.0], [0.0, 1.0]])
        >>> pool(rows, np.array([7, 7]), pooling="mean_of_raw").unit.tolist()
        [[0.9486833214759827, 0.3162277638912201]]
    """
    _check(features, template_of, pooling, media_of, weights)
    norms = _lengths(features)
    scale = np.ones(len(norms)) if weights is None else np.asarray(weights, np.float64)
    names, group = np.unique(np.asarray(template_of, np.int64), return_inverse=True)
    order = np.argsort(group, kind="stable")
    if media_of is not None:
        media = np.asarray(media_of, np.int64)
        order = np.lexsort((media, group))  # stable: rows of a medium keep their order
    edges = np.searchsorted(group[order], np.arange(len(names) + 1))
    unit = np.empty((len(names), features.shape[1]), np.float32)
    for top in range(0, len(names), _TEMPLATES_AT_ONCE):
        some = slice(top, min(top + _TEMPLATES_AT_ONCE, len(names)))
        rows = order[edges[some.start] : edges[some.stop]]
        starts = edges[some.start : some.stop] - edges[some.start]
        counts = scale[rows] * _directional(pooling, norms[rows], starts)
        if media_of is None:
            sums = _sums(features, rows, counts, starts)
        else:
            sums = _over_media(features, rows, counts, starts, media[rows])
        lengths = np.sqrt((sums * sums).sum(axis=1))
        _expect_direction(names[some], lengths, np.add.reduceat(counts * norms[rows], starts))
        unit[some] = sums / lengths[:, None]
    return Templates(names, unit)


def _directional(
    pooling: str, norms: NDArray[np.float64], starts: NDArray[np.int64]
) -> NDArray[np.float64]:
    """What a raw row is multiplied by, for its pooling alone."""
    if pooling == "mean_of_unit":
        return 1 / norms
    if pooling == "norm_cubed":
        sizes = np.diff(starts, append=len(norms))
        cubed: NDArray[np.float64] = (
            norms / np.repeat(np.maximum.reduceat(norms, starts), sizes)
        ) ** 3
        return cubed
    return np.ones(len(norms))


def _over_media(
    features: NDArray[np.floating[Any]],
    rows: NDArray[np.int64],
    counts: NDArray[np.float64],
    starts: NDArray[np.int64],
    media: NDArray[np.int64],
) -> NDArray[np.float64]:
    """The mean of each medium, summed over the media of each template."""
    opens = np.diff(media, prepend=media[0] - 1) != 0
    opens[starts] = True
    heads = np.flatnonzero(opens)
    sizes = np.diff(heads, append=len(rows))
    means = _sums(features, rows, counts, heads) / sizes[:, None]
    first = np.searchsorted(heads, starts)
    return _sums(means, np.arange(len(heads)), np.ones(len(heads)), first)


def _sums(
    features: NDArray[np.floating[Any]],
    rows: NDArray[np.int64],
    counts: NDArray[np.float64],
    starts: NDArray[np.int64],
) -> NDArray[np.float64]:
    """Of each group the sum of its `rows`, each times its count, from the first to the last.

    The k-th rows of all groups are added in one step, so the order is that of a plain loop.
    """
    sizes = np.diff(starts, append=len(rows))
    total = np.zeros((len(starts), features.shape[1]))
    for k in range(int(sizes.max())):
        longer = np.flatnonzero(sizes > k)
        at = starts[longer] + k
        total[longer] += features[rows[at]].astype(np.float64) * counts[at, None]
    return total


def _lengths(features: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """The length of every row; a row without one is refused by its number."""
    norms = np.empty(len(features))
    for top in range(0, len(features), _ROWS_AT_ONCE):
        rows = features[top : top + _ROWS_AT_ONCE].astype(np.float64)
        norms[top : top + _ROWS_AT_ONCE] = np.sqrt((rows * rows).sum(axis=1))
    odd = np.flatnonzero(~(np.isfinite(norms) & (norms > 0)))
    if len(odd):
        row = int(odd[0])
        fault = "is all zeros and has no direction" if norms[row] == 0 else "holds NaN or infinity"
        raise BadArray(f"row {row} of {len(norms)} features {fault}; leave it out of its template")
    return norms


def _expect_direction(
    names: NDArray[np.int64], lengths: NDArray[np.float64], summed: NDArray[np.float64]
) -> None:
    lost = np.flatnonzero(~(lengths > _CANCELLED * summed))
    if len(lost):
        raise BadArray(
            f"the rows of template {names[lost[0]]} add up to zero, which has no direction; "
            "give one of them a weight above 0, or leave the template out"
        )


def _check(
    features: NDArray[Any],
    template_of: NDArray[Any],
    pooling: str,
    media_of: NDArray[Any] | None,
    weights: NDArray[Any] | None,
) -> None:
    if pooling not in POOLINGS:
        raise BadInput(f"there is no pooling {pooling!r}; choose from {', '.join(POOLINGS)}")
    if (media_of is None) == (pooling == "media_then_sum"):
        needs = "needs" if media_of is None else "has no use for"
        raise BadInput(f"the pooling {pooling} {needs} the media of the rows (media_of)")
    if features.ndim != 2 or features.dtype.kind != "f" or 0 in features.shape:
        raise BadArray(
            f"features must be floats of shape (N, D); got {features.dtype} "
            f"of shape {features.shape}"
        )
    for name, numbers, kinds in (
        ("template_of", template_of, "iu"),
        ("media_of", media_of, "iu"),
        ("weights", weights, "iuf"),
    ):
        if numbers is None:
            continue
        if np.shape(numbers) != (len(features),) or np.asarray(numbers).dtype.kind not in kinds:
            wanted = "a number" if kinds == "iuf" else "a whole number"
            raise BadArray(
                f"{name} must hold {wanted} for each of the {len(features)} rows; "
                f"got {np.asarray(numbers).dtype} of shape {np.shape(numbers)}"
            )
    if weights is not None and not (np.isfinite(weights) & (np.asarray(weights) >= 0)).all():
        row = int(np.argmin(np.isfinite(weights) & (np.asarray(weights) >= 0)))
        raise BadArray(
            f"the weight of row {row} is {weights[row]}; weights are finite and 0 or more"
        )
