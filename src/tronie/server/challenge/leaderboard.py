"""The leaderboard of a track: who stands where, and why, from the records and nothing else.

    1. of each organization, the best of the submissions that it made public and that are scored,
       received in no phase that is hidden still; organizations that are banned are left out
    2. by the first column of the track, then by its tie-breaks, then the one received earlier,
       then by identifier. Values are compared as they are, never rounded
    3. place = 1 + how many are ahead. Who is equal in all columns that order and was received at
       the same moment shares a place, and the places after it are skipped (1, 2, 2, 4)
    4. a published baseline stands where its values put it, after teams that equal it, and takes
       no place

With a Ladder, the value shown of a team moves only to a submission that is better by the track's
step or more, in the order in which they were received: small steps in the dark are not rewarded.

A number that is not there is worse than any. Letters: none.

Source of the Ladder: Blum and Hardt, ICML 2015, arXiv:1502.04585. Differs from it: the step is
the track's, and the value is shown as it is, not rounded to the step. The variant without a step
needs the outcome of every single pair, which a Report does not hold.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any

from tronie.server.challenge.baselines import MARK, Baseline
from tronie.server.challenge.submission import Organization, State, Submission
from tronie.server.challenge.track import Column, Phase, Track

CHECKED: Mapping[str, tuple[str, float]] = {
    "model_mib": ("limits.model_bytes", 2.0**20),
    "flops_lfr": ("limits.flops", 1.0),
    "latency_ms": ("limits.latency_ms", 1.0),
    "dimension": ("limits.dimension", 1.0),
}
"""Keys of columns that are no value of the Report: the check that measured it, and by what it is
divided."""
HIDDEN = "hidden"
NOTHING = "–"

Values = Mapping[str, float | None]


@dataclass(frozen=True, kw_only=True)
class BoardRow:
    """One line."""

    rank: int | None
    """The place; None for a baseline."""
    name: str
    """Of the organization, or of the baseline; HIDDEN where the organization hides it."""
    hidden: bool = False
    baseline: bool = False
    mine: bool = False
    """Of the organization that looks."""
    submission_id: str = ""
    """Empty for a baseline."""
    received: datetime | None = None
    values: Values
    """By the keys of the track's columns, unrounded; see `shown`."""
    mark: str = ""
    """What a reader must know of a baseline."""
    source: str = ""
    prize: str = ""
    bonus_share: float = 0.0
    """Of the pool; those who share a place share what the places that they fill have."""


def board(
    track: Track,
    submissions: Sequence[Submission],
    organizations: Sequence[Organization],
    *,
    now: datetime,
    phases: Sequence[Phase] | None = None,
    baselines: Sequence[Baseline] = (),
    version: str | None = None,
    viewer: str | None = None,
) -> tuple[BoardRow, ...]:
    """The rows from the top.

    Args:
        submissions: Of this track; those that do not count are passed over.
        organizations: All whose submissions may count.
        phases: Those that the organizer set; the track's if None.
        baselines: Published rows to stand among them.
        version: Of the protocol: Reports of another are left out until they are scored again.
            None: all count.
        viewer: The organization that looks, by its identifier. It sees its own name.
    """
    set_phases = track.phases if phases is None else phases
    teams = {one.id: one for one in organizations if not one.banned}
    entries: dict[str, list[Submission]] = {}
    for one in submissions:
        known = one.organization_id in teams
        if known and _counts(one, track, set_phases, now=now, version=version):
            entries.setdefault(one.organization_id, []).append(one)
    best = [_best(track, own) for own in entries.values()]
    best.sort(key=lambda one: (*_place(track, one), one.id))
    rows = [_team_row(track, one, teams[one.organization_id], viewer=viewer) for one in best]
    rows = _ranked(track, rows, [_place(track, one) for one in best])
    return tuple(_with_baselines(track, rows, baselines))


def values_of(track: Track, submission: Submission) -> Values:
    """A number for each column of the track; None where there is none."""
    measured: Mapping[str, Any] = (submission.report or {}).get("values", {})
    checks = () if submission.verdict is None else submission.verdict.checks
    costs = {check.rule: check.measured for check in checks}
    found: dict[str, float | None] = {}
    for column in track.columns:
        if column.key in CHECKED:
            rule, part = CHECKED[column.key]
            cost = costs.get(rule)
            found[column.key] = cost / part if isinstance(cost, int | float) else None
        else:
            found[column.key] = measured.get(column.key, {}).get("value")
    return found


def shown(column: Column, value: float | None) -> str:
    """A value as the column prints it: rounded here, and nowhere before.

    Example:
        >>> shown(Column(key="score", title="Score"), 0.28505)
        '28.50'
    """
    if value is None:
        return NOTHING
    exact = Decimal(repr(value)) * (100 if column.form == "percent" else 1)
    if column.form == "count":
        return f"{exact:,.0f}"
    return f"{exact:.{column.decimals}f}"


def _counts(
    one: Submission,
    track: Track,
    phases: Sequence[Phase],
    *,
    now: datetime,
    version: str | None,
) -> bool:
    """Whether a submission may be on the board."""
    if one.state is not State.SCORED or not one.public:
        return False
    if version is not None and one.protocol_version != version:
        return False
    if values_of(track, one)[track.columns[0].key] is None:
        return False
    return not any(
        phase.hidden
        and phase.is_open(one.received)
        and (phase.closes is None or now < phase.closes)
        for phase in phases
    )


def _order(track: Track, values: Values) -> tuple[tuple[bool, float], ...]:
    """What the columns say, the smallest first."""
    columns = {column.key: column for column in track.columns}
    order = []
    for key in (track.columns[0].key, *track.tie_breaks):
        value = values.get(key)
        sign = -1 if columns[key].larger_is_better else 1
        order.append((value is None, 0.0 if value is None else sign * value))
    return tuple(order)


def _place(track: Track, one: Submission) -> tuple[tuple[tuple[bool, float], ...], datetime]:
    return _order(track, values_of(track, one)), one.received


def _best(track: Track, own: Sequence[Submission]) -> Submission:
    """The one that stands for a team."""
    in_order = sorted(own, key=lambda one: (one.received, one.id))
    if not track.ladder:
        return min(in_order, key=lambda one: (*_place(track, one), one.id))
    step = Fraction(repr(track.ladder))
    standing = in_order[0]
    for one in in_order[1:]:
        if _gain(track, standing, one) >= step:
            standing = one
    return standing


def _gain(track: Track, standing: Submission, one: Submission) -> Fraction:
    """By how much the first column is better, of the decimals as they print."""
    first = track.columns[0]
    before, after = (values_of(track, each)[first.key] for each in (standing, one))
    gain = Fraction(repr(after)) - Fraction(repr(before))
    return gain if first.larger_is_better else -gain


def _team_row(track: Track, one: Submission, team: Organization, *, viewer: str | None) -> BoardRow:
    mine = team.id == viewer
    return BoardRow(
        rank=None,
        name=HIDDEN if team.hidden and not mine else team.name,
        hidden=team.hidden,
        mine=mine,
        submission_id=one.id,
        received=one.received,
        values=values_of(track, one),
    )


def _ranked(track: Track, rows: Sequence[BoardRow], places: Sequence[Any]) -> list[BoardRow]:
    """The same rows with their places, prizes and shares."""
    ranked = []
    for row, place in zip(rows, places, strict=True):
        first = places.index(place)
        filled = range(first + 1, first + 1 + places.count(place))
        pool = sum(Fraction(repr(track.bonus_shares.get(n, 0.0))) for n in filled)
        ranked.append(
            replace(
                row,
                rank=first + 1,
                prize=track.prizes.get(first + 1, ""),
                bonus_share=float(pool / len(filled)),
            )
        )
    return ranked


def _with_baselines(
    track: Track, rows: Sequence[BoardRow], baselines: Sequence[Baseline]
) -> list[BoardRow]:
    keys = [column.key for column in track.columns]
    marked = [
        BoardRow(
            rank=None,
            name=one.name,
            baseline=True,
            values={key: one.values.get(key) for key in keys},
            mark=f"{MARK}; {one.remark}" if one.remark else MARK,
            source=one.source,
        )
        for one in baselines
    ]
    marked.sort(key=lambda row: (_order(track, row.values), row.name))
    # Stable: teams stay in their order, and come before a baseline of the same values.
    return sorted([*rows, *marked], key=lambda row: _order(track, row.values))
