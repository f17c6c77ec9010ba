"""Numbers as text: what is rounded never turns into something else."""

from __future__ import annotations

import pytest

from tronie.evaluation.metrics.intervals import Interval
from tronie.evaluation.report_text import (
    asked_text,
    count_text,
    interval_text,
    number_text,
    power_text,
    rate_text,
)


def plain(text: str) -> str:
    return text.replace("\u202f", " ")


@pytest.mark.parametrize(
    ("rate", "text"),
    [
        (0.9938, "99.38 %"),
        (0.5, "50.00 %"),
        (0.0123, "1.23 %"),
        (0.001, "0.10 %"),
        (1.3e-7, "1.30 × 10⁻⁷"),
        (0.0, "0 %"),
        (1.0, "100 %"),
        (0.99998, "99.9980 %"),
        (1.2, "120.00 %"),
    ],
)
def test_a_measured_rate_keeps_the_digits_that_count(rate, text):
    assert plain(rate_text(rate)) == text


@pytest.mark.parametrize("power", range(1, 13))
def test_a_rate_that_is_not_all_or_nothing_is_never_worded_so(power):
    assert float(plain(rate_text(1 - 10.0**-power)).removesuffix(" %")) < 100
    worded = plain(rate_text(10.0**-power, largest=1.0))
    assert float(worded.removesuffix(" %")) == pytest.approx(100 * 10.0**-power)


def test_rates_that_stand_side_by_side_have_one_form():
    assert plain(rate_text(0.0001, largest=0.003)) == "0.010 %"
    assert plain(rate_text(0.0001, largest=0.0005)) == "1.00 × 10⁻⁴"


@pytest.mark.parametrize(
    ("rate", "text"),
    [(1e-6, "10⁻⁶"), (3e-7, "3 × 10⁻⁷"), (0.001, "0.1 %"), (0.29, "29 %"), (0.05, "5 %")],
)
def test_a_rate_that_was_asked_for_is_told_to_the_digit(rate, text):
    assert plain(asked_text(rate)) == text


def test_both_ends_of_an_interval_have_one_form():
    assert plain(interval_text(Interval(low=0.0009, high=0.0011, method="x"))) == (
        "0.090 % to 0.11 %"
    )
    assert interval_text(Interval(low=1e-7, high=2e-6, method="x")) == (
        "1.00 × 10⁻⁷ to 2.00 × 10⁻⁶"
    )
    assert plain(interval_text(Interval(low=0.0, high=2e-6, method="x"))) == ("0 % to 2.00 × 10⁻⁶")


def test_counts_stand_in_threes():
    assert plain(count_text(1234567)) == "1 234 567"
    assert plain(number_text(12936.0)) == "12 936"
    assert number_text(0.357512345) == "0.35751"


def test_powers_of_ten_drop_the_one_before_them():
    assert [power_text(x) for x in (1e-4, 2.5e-11, 1e3)] == ["10⁻⁴", "2.5 × 10⁻¹¹", "10³"]
