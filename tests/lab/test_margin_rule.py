"""What a margin is handed, and the texts of what it refuses."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from tronie.errors import BadArray, BadInput  # noqa: E402 - only where torch is
from tronie.lab.nn.margin_rule import (  # noqa: E402
    MarginRule,
    accepted,
    accepted_norms,
    bounded,
    is_straight_through,
    one_of,
    positive,
)

pytestmark = pytest.mark.lab


def test_a_margin_asks_for_nothing_and_adds_nothing_unless_it_says_so():
    rule = MarginRule()
    assert (rule.needs_norms, rule.needs_others, rule.softmax) == (False, False, True)
    assert float(rule.penalty(torch.ones(3))) == 0


def test_cosines_of_one_dimension_are_refused():
    with pytest.raises(BadArray, match=r"^cosines must have shape \(N, C\).*got shape \(3,\) of"):
        accepted(torch.zeros(3), torch.zeros(3, dtype=torch.int64))


def test_whole_numbers_are_no_cosines():
    with pytest.raises(BadArray, match=r"a floating type; got shape \(1, 2\) of torch.int64$"):
        accepted(torch.zeros((1, 2), dtype=torch.int64), torch.zeros(1, dtype=torch.int64))


def test_a_label_too_many_is_refused():
    with pytest.raises(BadArray, match=r"^labels must have shape \(2,\) .* got shape \(3,\)"):
        accepted(torch.zeros((2, 2)), torch.zeros(3, dtype=torch.int64))


def test_lengths_that_are_missing_are_asked_for():
    with pytest.raises(BadInput, match=r"depends on the lengths .* as norms, shape \(2,\)$"):
        accepted_norms(None, torch.zeros((2, 2)))


def test_lengths_of_another_batch_are_refused():
    with pytest.raises(BadArray, match=r"^norms must have shape \(2,\), .* got shape \(2, 1\)$"):
        accepted_norms(torch.ones((2, 1)), torch.zeros((2, 2)))


def test_lengths_take_the_type_of_the_cosines():
    assert accepted_norms(torch.ones(2), torch.zeros((2, 2)).double()).dtype == torch.float64


@pytest.mark.parametrize("value", [-0.1, 2.0, float("nan")])
def test_a_number_out_of_its_range_is_refused(value):
    with pytest.raises(BadInput, match=rf"^margin must lie in \[0, 1.571\] radians; got {value:g}"):
        bounded("margin", value, 0, 1.5708, unit="radians")
    assert bounded("margin", 0.5, 0, 1.5708) == 0.5


@pytest.mark.parametrize("value", [0.0, -1.0, float("inf"), float("nan")])
def test_a_number_that_must_be_positive(value):
    with pytest.raises(BadInput, match=rf"^scale must be above 0 and finite; got {value:g}$"):
        positive("scale", value)
    assert positive("scale", 64.0) == 64.0


def test_a_word_that_is_not_one_of_those():
    with pytest.raises(BadInput, match=r"^form must be 'a' or 'b'; got 'c'$"):
        one_of("form", "c", ("a", "b"))


def test_gradients_have_two_names():
    assert is_straight_through("straight_through")
    assert not is_straight_through("exact")
    with pytest.raises(
        BadInput, match=r"^gradient must be 'exact' or 'straight_through'; got 'x'$"
    ):
        is_straight_through("x")
