r"""Rank-k, CMC, and TPIR at a fixed FPIR, from searches in a gallery.

    rank of a probe   1 + the other people of the gallery who score its mate's score or more:
                      a tie counts against the mate
    CMC(k)            probes of rank k or better, over all mated probes
    FPIR(t)           non-mated probes whose best score is >= t, over all non-mated probes
    TPIR(t, k)        mated probes of rank k or better whose mate scores >= t, over all mated
                      probes                                                     (1 - FNIR)

"conservative": the threshold is the lowest that keeps FPIR at or below the one asked, ties
refused together: `threshold_at_far` of the non-mated probes' best scores.

"published": what the scripts of the field do for IJB. Best scores of the non-mated probes
fall; the one at index max(int(n * FPIR) - 1, 0), from 0, must be exceeded, and `int` cuts off
a product of floats. That accepts one probe fewer than FPIR allows (or more, with ties), and
no FPIR is refused as too small.

Letters: P probes, K others known of each.

Source: ISO/IEC 19795-1:2021 for the rates; Maze et al., "IARPA Janus Benchmark-C", ICB 2018.
Differs: ties, and the FPIR that is never exceeded, as above.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from tronie.errors import BadArray, BadInput, NotEnoughData
from tronie.evaluation.metrics.verification import (
    Rate,
    accepts_allowed,
    exact_rate,
    just_above,
    threshold_at_far,
)

RULES = ("conservative", "published")


@dataclass(frozen=True, kw_only=True)
class OpenSetPoint:
    """One FPIR: its threshold, and what was counted at it."""

    fpir: float
    """As asked."""
    threshold: float
    """To be used as `score >= threshold`."""
    false_positives: Rate
    """Non-mated probes that somebody was returned for."""
    found: Rate
    """Mated probes whose mate was returned within the rank."""
    hits: NDArray[np.bool_]
    """Which of the mated probes are in `found`."""


def mate_ranks(mates: NDArray[np.float64], others: NDArray[np.float64]) -> NDArray[np.int64]:
    """The rank (P,) of each mate, counted from 1; K + 1 means "after all K known others".

    Args:
        mates: Score of each probe with its own person, shape (P,), finite.
        others: Best scores of other people, shape (P, K), as `best_others` gives them.

    Raises:
        BadArray: shapes do not fit, or a score is NaN.

    Example:
        >>> mate_ranks(np.array([0.5]), np.array([[0.7, 0.5, 0.2]])).tolist()
        [3]
    """
    fits = mates.ndim == 1 and others.ndim == 2 and len(mates) == len(others)
    if not fits or not np.isfinite(mates).all() or np.isnan(others).any():
        raise BadArray(
            "ranks need finite mate scores (P,) and other scores (P, K) without NaN; "
            f"got shapes {mates.shape} and {others.shape}"
        )
    ranks: NDArray[np.int64] = 1 + (others >= mates[:, None]).sum(axis=1)
    return ranks


def rank_rate(ranks: NDArray[np.integer], rank: int) -> Rate:
    """CMC at `rank`: probes of that rank or better, of all.

    Raises:
        NotEnoughData: there are no probes.
        BadInput: `rank` is below 1.
    """
    if rank < 1:
        raise BadInput(f"ranks are counted from 1; got {rank}")
    if len(ranks) == 0:
        raise NotEnoughData("a rank rate needs at least one mated probe; got none")
    return Rate(int(np.count_nonzero(ranks <= rank)), len(ranks))


def open_set_point(
    mates: NDArray[np.float64],
    ranks: NDArray[np.integer],
    strangers: NDArray[np.float64],
    *,
    fpir: float | Fraction,
    rank: int = 1,
    rule: str = "conservative",
) -> OpenSetPoint:
    """TPIR at one FPIR.

    Args:
        mates: Score of each mated probe with its own person, shape (P,).
        ranks: Their ranks, as `mate_ranks` gives them.
        strangers: Best score of each non-mated probe, shape (Q,), finite.
        fpir: In (0, 1); a float is read as the decimal it prints as.
        rank: The mate must be among so many.
        rule: One of RULES; see the top of this file.

    Raises:
        BadInput: no such rule, `fpir` outside (0, 1), or `rank` below 1.
        BadArray: shapes do not fit, or a score is not finite.
        NotEnoughData: no mated probe, or too few non-mated ones for this FPIR.
    """
    if rank < 1:
        raise BadInput(f"ranks are counted from 1; got {rank}")
    if mates.shape != ranks.shape or mates.ndim != 1:
        raise BadArray(f"each mate score needs a rank; got {mates.shape} and {ranks.shape}")
    if len(mates) == 0:
        raise NotEnoughData("a TPIR needs at least one mated probe; got none")
    threshold = _threshold(strangers, fpir, rule)
    hits = (ranks <= rank) & (mates >= threshold)
    return OpenSetPoint(
        fpir=float(fpir),
        threshold=threshold,
        false_positives=Rate(int(np.count_nonzero(strangers >= threshold)), len(strangers)),
        found=Rate(int(np.count_nonzero(hits)), len(mates)),
        hits=hits,
    )


def _threshold(strangers: NDArray[np.float64], fpir: float | Fraction, rule: str) -> float:
    if rule not in RULES:
        raise BadInput(f"there is no rule {rule!r}; choose from {', '.join(RULES)}")
    if not 0 < fpir < 1:
        raise BadInput(f"an FPIR must lie inside (0, 1); got {fpir}")
    if strangers.ndim != 1 or not np.isfinite(strangers).all():
        raise BadArray(
            f"best scores of non-mated probes must be finite, of shape (Q,); got {strangers.shape}"
        )
    if len(strangers) == 0:
        raise NotEnoughData("an FPIR needs non-mated probes: people who are not in the gallery")
    if rule == "published":
        index = max(int(len(strangers) * float(fpir)) - 1, 0)
        return just_above(float(np.sort(strangers)[::-1][index]))
    if accepts_allowed(fpir, len(strangers)) == 0:
        raise NotEnoughData(
            f"FPIR {float(fpir):.3g} needs at least {-(-1 // exact_rate(fpir))} non-mated probes; "
            f"got {len(strangers)}. Add probes of people who are not in the gallery, or ask for a "
            "larger FPIR"
        )
    return threshold_at_far(strangers, fpir)
