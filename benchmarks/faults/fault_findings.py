"""What must hold after a run in which much was killed, each with what was found instead.

ended       every submission that was sent is there, and none besides; each ended as its file
            must, exactly once, and its life in the audit log goes from state to state
charged     the slots that are used are those of submissions that were scored or refused while
            they ran and never failed by us, to the row
numbers     two submissions of one network have the same numbers, whatever was killed meanwhile
left        no lease is live, no process runs, no file is half made
"""

from __future__ import annotations

import signal
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from fault_run import Outcome, patiently
from fault_uploads import Upload

from tronie.server.challenge.audit import first_break
from tronie.server.challenge.store import Store
from tronie.server.challenge.submission import NEXT, AuditEntry, State, Submission

SUBMISSION = "submission."
IN_ORDER = (0, -signal.SIGTERM)
"""The second where it was told to end before it had begun to judge."""


class Finding(NamedTuple):
    """One thing that must hold."""

    what: str
    holds: bool
    found: str


def findings(outcome: Outcome, store: Store, *, work: Path, uploads: Path) -> list[Finding]:
    """All of them."""
    there = {one.id: one for one in patiently(store.submissions)}
    log = patiently(store.audit)
    rows = patiently(lambda: list(store.export_rows()))
    lives = _lives(log)
    return [
        _finding("all ended in time", [] if outcome.is_over else ["not all"]),
        _finding("none lost, none twice", sorted(set(there) ^ set(outcome.sent))),
        _finding("each ended as its file must", _wrong_ends(outcome.sent, there)),
        _finding("each ended exactly once", _ended_else_than_once(there, lives)),
        _finding("lives go from state to state", _jumps(lives)),
        _finding("quotas are exact", _wrong_slots(there, lives, rows)),
        _finding("one network has the same numbers", _other_numbers(outcome.sent, there)),
        _finding("the audit log is unbroken", _listed(first_break(log))),
        _finding("no lease is live", _live_leases(rows)),
        _finding("workers ended in order", [c for c in outcome.exit_codes if c not in IN_ORDER]),
        _finding("no worker and no sandbox is left", outcome.left),
        _finding("nothing is half made", sorted(p.name for p in work.iterdir())),
        _finding("each upload is there once", _wrong_uploads(there, uploads)),
    ]


def _finding(what: str, wrong: Sequence[object]) -> Finding:
    shown = ", ".join(str(one) for one in wrong[:5])
    return Finding(what, not wrong, f"{len(wrong)}: {shown}" if wrong else "")


def _listed(value: object) -> list[object]:
    return [] if value is None else [value]


def _lives(log: Iterable[AuditEntry]) -> Mapping[str, list[AuditEntry]]:
    """What the log says of each submission, oldest first."""
    found: dict[str, list[AuditEntry]] = defaultdict(list)
    for entry in log:
        if entry.action.startswith(SUBMISSION):
            found[entry.subject].append(entry)
    return found


def _to(entry: AuditEntry) -> State:
    return State(entry.action.removeprefix(SUBMISSION))


def _wrong_ends(sent: Mapping[str, Upload], there: Mapping[str, Submission]) -> list[str]:
    found = []
    for id, upload in sent.items():
        expected = State.SCORED if upload.is_scored else State.REFUSED
        one = there.get(id)
        if one is None or one.state is not expected:
            found.append(f"{upload.kind}: {one and one.state} ({one and one.reason})")
    return found


def _ended_else_than_once(
    there: Mapping[str, Submission], lives: Mapping[str, Sequence[AuditEntry]]
) -> list[str]:
    found = []
    for id, one in there.items():
        ends = Counter(_to(entry) for entry in lives[id])
        asked = {State.SCORED: 0, State.REFUSED: 0} | {one.state: 1}
        if any(ends[state] != number for state, number in asked.items()):
            found.append(f"{id}: {dict(ends)}")
    return found


def _jumps(lives: Mapping[str, Sequence[AuditEntry]]) -> list[str]:
    """Lines whose state before is not the one that the line before led to."""
    found = []
    for id, entries in lives.items():
        first, *rest = entries
        state = _to(first)
        if state is not State.RECEIVED or "was" in first.details:
            found.append(f"{id} begins with {first.action}")
        for entry in rest:
            if entry.details["was"] != state or _to(entry) not in NEXT[state]:
                found.append(f"{id}: line {entry.number}, {entry.details['was']} to {_to(entry)}")
            state = _to(entry)
    return found


def _wrong_slots(
    there: Mapping[str, Submission],
    lives: Mapping[str, Sequence[AuditEntry]],
    rows: Iterable[Mapping[str, Any]],
) -> list[str]:
    charged = set()
    for id, one in there.items():
        states = [_to(entry) for entry in lives[id]]
        ran = len(states) > 1 and states[-2] is State.RUNNING
        if ran and State.FAILED not in states and one.state in (State.SCORED, State.REFUSED):
            charged.add(id)
    taken = [row for row in rows if row["table"] == "slots"]
    used = {row["submission_id"] for row in taken}
    found = [f"{id} is not charged" for id in charged - used]
    found += [f"{id} is charged" for id in used - charged]
    places = Counter(
        (row["organization_id"], row["track"], row["day"], row["slot"]) for row in taken
    )
    found += [f"{place} is taken {n} times" for place, n in places.items() if n > 1]
    return found


def _other_numbers(sent: Mapping[str, Upload], there: Mapping[str, Submission]) -> list[str]:
    by_network: dict[str, set[str]] = defaultdict(set)
    for id, upload in sent.items():
        one = there.get(id)
        if one is not None and one.report is not None:
            by_network[upload.kind].add(str(one.report["values"]))
    return [f"{kind}: {len(seen)} Reports" for kind, seen in by_network.items() if len(seen) > 1]


def _live_leases(rows: Iterable[Mapping[str, Any]]) -> list[str]:
    return [row["submission_id"] for row in rows if row["table"] == "leases" and not row["outcome"]]


def _wrong_uploads(there: Mapping[str, Submission], uploads: Path) -> list[str]:
    lying = Counter(file.name for file in uploads.rglob("*") if file.is_file())
    return sorted((lying - Counter(o.upload for o in there.values())).keys()) + sorted(
        (Counter(o.upload for o in there.values()) - lying).keys()
    )
