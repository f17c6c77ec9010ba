"""Average precision, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from tronie.errors import BadArray, BadInput
from tronie.evaluation.metrics.retrieval import DENOMINATORS, average_precision

LIST = np.array([True, False, True, False, False, True])


def by_hand(relevant, limit):
    total, seen = 0.0, 0
    for place, right in enumerate(relevant[:limit], start=1):
        if right:
            seen += 1
            total += seen / place
    return total, seen


@pytest.mark.parametrize(
    ("denominator", "over"), [("capped", min(10, 5)), ("all", 10), ("found", 2)]
)
def test_the_three_denominators(denominator, over):
    """Cut at 5: relevant at places 1 and 3, so 1/1 + 2/3; ten relevant in all."""
    found = average_precision(LIST, positives=10, limit=5, denominator=denominator)
    assert found == pytest.approx((1 + 2 / 3) / over, abs=1e-15)


def test_it_is_the_sum_of_precisions_for_any_list():
    rng = np.random.default_rng(0)
    for _ in range(100):
        relevant = rng.random(rng.integers(1, 30)) < 0.3
        limit, m = int(rng.integers(1, 30)), int(relevant.sum()) + 1
        total, _ = by_hand(relevant, limit)
        found = average_precision(relevant, positives=m, limit=limit)
        assert found == pytest.approx(total / min(m, limit), abs=1e-12)


@pytest.mark.parametrize("denominator", DENOMINATORS)
def test_a_perfect_list_scores_one_and_an_empty_one_nothing(denominator):
    perfect = average_precision(np.ones(3, bool), positives=3, denominator=denominator)
    assert perfect == 1
    assert average_precision(np.zeros(0, bool), positives=3, denominator=denominator) == 0


def test_more_relevant_entries_than_the_limit_can_still_score_one():
    full = np.ones(150, bool)
    assert average_precision(full, positives=150) == 1
    assert average_precision(full, positives=150, denominator="all") == pytest.approx(100 / 150)


def test_an_unknown_denominator_is_refused_with_the_list():
    with pytest.raises(BadInput, match=r"^there is no denominator 'm'; choose from capped, all, f"):
        average_precision(LIST, positives=3, denominator="m")


def test_counts_that_do_not_fit_are_refused():
    with pytest.raises(BadInput, match=r"got limit 100 and 2 positives, 3 of them in the list$"):
        average_precision(LIST, positives=2)
    with pytest.raises(BadInput, match=r"^need a limit of 1 or more"):
        average_precision(LIST, positives=3, limit=0)


def test_numbers_are_no_relevance():
    with pytest.raises(BadArray, match=r"^relevance must be true or false by rank.*got float64"):
        average_precision(np.ones(3), positives=3)
