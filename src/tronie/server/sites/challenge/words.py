"""How values are worded on the pages: filters and functions of the templates, and short answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from tronie.evaluation.charts.frame import style_class
from tronie.evaluation.report_text import NARROW, count_text, number_text
from tronie.server.challenge.checks import Measured
from tronie.server.challenge.intake import moment_text
from tronie.server.challenge.leaderboard import shown
from tronie.server.challenge.submission import OPEN, REFUSED_KEPT, State
from tronie.server.challenge.track import Limits, Phase
from tronie.server.http import size_text

DONE: Mapping[str, str] = {
    "submitted": "Your submission is here and waits to be checked.",
    "public": "It is on the board now, where it is the best of your public ones.",
    "private": "It is no longer on the board.",
    "hidden": "The board shows your organization without its name.",
    "named": "The board shows the name of your organization.",
    "token-ended": "The token is ended; whoever held it is refused from now on.",
    "signed-out": "You are signed out.",
    "signed-up": (
        "If the address and the name were free, the account is ready: sign in. Should that fail, "
        "one of them has an account already; ask your colleagues or the organizer."
    ),
    "mail-sent": "A message is on its way to that address. Open the link in it within a day.",
    "verified": "Your address is verified. Sign in and submit.",
    "password-set": (
        "The new password is set; every session and every API token of the account was ended. "
        "Sign in with it."
    ),
    "phases-set": "The phases are set.",
    "rescored": "The submissions of an older version wait to be scored again.",
    "banned": "The organization may no longer submit, and its submissions left the board.",
    "ban-lifted": "The organization may submit again.",
    "retried": "The submission waits to be checked again.",
}

UPLOAD_GONE = (
    f"The file itself was removed {REFUSED_KEPT.days} days after it was refused; what is told of "
    "it here stays."
)

# After the name of the state, before "since".
STATE_TEXT: Mapping[State, str] = {
    State.RECEIVED: "and waits to be checked,",
    State.CHECKING: "by a worker",
    State.QUEUED: "to be scored, all checks passed,",
    State.RUNNING: "to be scored",
    State.SCORED: "",
    State.REFUSED: "",
    State.FAILED: "and not by your fault,",
}


def measured_text(value: Measured, unit: str) -> str:
    """What a check measured, or the limit it has, in its unit."""
    if value is None:
        return "–"
    if isinstance(value, str):
        return value
    if unit == "bytes":
        return size_text(int(value))
    if unit in ("FLOPs", "flops") and value >= 1e6:
        return f"{value / 1e9:.4g}{NARROW}G"
    return f"{number_text(value)}{NARROW}{unit}".strip(NARROW)


def limit_texts(limits: Limits) -> Sequence[tuple[str, str]]:
    """What a track allows, as rows of a table."""
    rows = [("upload", size_text(limits.upload_bytes))]
    if limits.model_bytes is not None:
        rows.append(("model", size_text(limits.model_bytes)))
    if limits.flops_lfr is not None:
        rows.append(("FLOPs of one crop", f"{limits.flops_lfr / 1e9:g}{NARROW}G"))
    rows.append(("dimension of an embedding", count_text(limits.dimension)))
    if limits.latency_ms is not None:
        rows.append(("time for one crop", f"{limits.latency_ms:g}{NARROW}ms"))
    return rows


def phase_text(phase: Phase, now: datetime) -> str:
    """Where a phase stands."""
    if phase.is_open(now):
        return "open" if phase.closes is None else f"open until {moment_text(phase.closes)}"
    if phase.opens is not None and phase.opens > now:
        return f"opens at {moment_text(phase.opens)}"
    return "over"


def field_moment(moment: datetime | None) -> str:
    """A moment as a field of a form holds it, UTC."""
    return "" if moment is None else f"{moment:%Y-%m-%dT%H:%M}"


def place_text(place: int) -> str:
    """A place as it is spoken.

    Example:
        >>> [place_text(n) for n in (1, 2, 3, 4, 11, 22)]
        ['1st', '2nd', '3rd', '4th', '11th', '22nd']
    """
    ending = {1: "st", 2: "nd", 3: "rd"}.get(place % 10, "th")
    return f"{place}{'th' if place % 100 in (11, 12, 13) else ending}"


def is_open(state: State) -> bool:
    """Whether something is still to happen by itself."""
    return state in OPEN


FILTERS: Mapping[str, Callable[..., Any]] = {
    "moment": moment_text,
    "size": size_text,
    "count": count_text,
    "place": place_text,
}
GLOBALS: Mapping[str, Any] = {
    "measured": measured_text,
    "limit_texts": limit_texts,
    "phase_text": phase_text,
    "field_moment": field_moment,
    "state_text": STATE_TEXT.__getitem__,
    "cell": shown,
    "is_open": is_open,
    "swatch": style_class,
    "upload_gone": UPLOAD_GONE,
}
