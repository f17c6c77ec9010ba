"""Numbers as a reader wants them: rates with the digits that count, counts in threes.

    0.9938     99.38 %          percent from 0.1 % on, two decimals or more
    0.99998    99.9980 %        as many as keep the distance to 100 % visible
    1.3e-07    1.30 × 10⁻⁷      below 0.1 %
    5646       5 646            a narrow space that does not break

Only what is shown is rounded: a Report keeps every digit.
"""

from __future__ import annotations

import math

from tronie.evaluation.metrics.intervals import Interval

NARROW = "\u202f"
_LEAST_PERCENT = 0.001
_SUPERSCRIPTS = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")


def rate_text(rate: float, *, largest: float = 0.0) -> str:
    """A rate in [0, 1] that was measured.

    Never "100.00 %" and never "0" for what is neither.

    Args:
        largest: Of the rates that stand beside it: all are worded in one form, and it decides.

    Example:
        >>> rate_text(0.99998)
        '99.9980\\u202f%'
    """
    if rate not in (0, 1) and max(abs(rate), largest) < _LEAST_PERCENT:
        return _power(*f"{rate:.2e}".split("e"))
    return _percent(rate)


def asked_text(rate: float) -> str:
    """A rate that was asked for, such as a FAR: short, and to the digit.

    Example:
        >>> asked_text(1e-06), asked_text(3e-07), asked_text(0.001)
        ('10⁻⁶', '3 × 10⁻⁷', '0.1\\u202f%')
    """
    if abs(rate) >= _LEAST_PERCENT or rate == 0:
        return f"{100 * rate:g}{NARROW}%"
    return power_text(rate)


def power_text(number: float) -> str:
    """A positive number as a multiple of a power of ten, without digits that are zero."""
    digits, exponent = f"{number:e}".split("e")
    return _power(digits.rstrip("0").rstrip("."), exponent)


def interval_text(interval: Interval, *, largest: float = 0.0) -> str:
    """Both ends of the interval of a rate, in one form: "98.46 % to 99.22 %"."""
    largest = max(largest, interval.high)
    return " to ".join(rate_text(end, largest=largest) for end in (interval.low, interval.high))


def number_text(number: float) -> str:
    """A number that is no rate: whole ones in threes, others with five significant digits.

    Example:
        >>> number_text(0.357512345), number_text(12936.0)
        ('0.35751', '12\\u202f936')
    """
    if float(number).is_integer() and abs(number) < 1e15:
        return count_text(int(number))
    return f"{number:.5g}"


def count_text(count: int) -> str:
    """A count with its digits in threes."""
    return f"{count:,}".replace(",", NARROW)


def _percent(rate: float) -> str:
    if rate in (0, 1):
        return f"{100 * rate:.0f}{NARROW}%"
    small = min(abs(100 * rate), 100 * abs(1 - rate))
    decimals = min(max(1 + math.ceil(-math.log10(small)), 2), 12)
    return f"{100 * rate:.{decimals}f}{NARROW}%"


def _power(digits: str, exponent: str) -> str:
    ten = f"10{str(int(exponent)).translate(_SUPERSCRIPTS)}"
    return ten if digits == "1" else f"{digits} × {ten}"
