"""Checks put into words: a number and its limit, a list of names, a name as it can be shown.

Names out of a stranger's file are shown as ASCII, cut short, with all that could move a cursor or
forge a line of a log escaped.
"""

from __future__ import annotations

from collections.abc import Iterable

from tronie.server.challenge.checks import Check, Measured

LONGEST_SHOWN = 60
"""Characters of a stranger's name."""


def check(
    rule: str,
    fault: str,
    good: str,
    *,
    measured: Measured = None,
    limit: Measured = None,
    unit: str = "",
) -> Check:
    """Broken with the sentence `fault`, or kept, with the sentence `good`."""
    return Check(
        rule=rule,
        passed=not fault,
        reason=fault or good,
        measured=measured,
        limit=limit,
        unit=unit,
    )


def at_most(
    rule: str, what: str, found: int | float, most: int | float | None, *, unit: str, advice: str
) -> Check:
    """A number and its limit; without a limit it is told and kept."""
    over = most is not None and found > most
    bound = "" if most is None else f"; at most {most:,} {unit} are allowed"
    return Check(
        rule=rule,
        passed=not over,
        measured=found,
        limit=most,
        unit=unit,
        reason=f"{what} {found:,} {unit}{bound}{f'. {advice}' if over else ''}",
    )


def listed(what: str, names: Iterable[str], advice: str) -> str:
    """A sentence that names the first three, or nothing where there are none."""
    distinct = sorted(set(names))
    if not distinct:
        return ""
    more = f" and {len(distinct) - 3} more" if len(distinct) > 3 else ""
    return f"{what} {', '.join(plain(name) for name in distinct[:3])}{more}. {advice}"


def plain(text: str, most: int = LONGEST_SHOWN) -> str:
    """A text as it can be shown: characters beyond ASCII, and what controls a screen, escaped."""
    return text[:most].encode("unicode_escape").decode("ascii")


def shown(name: str) -> str:
    """The same, in quotes."""
    return f"'{plain(name)}'"
