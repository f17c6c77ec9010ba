"""What a check of a submission says: the rule, what was measured, the limit, a sentence.

The same list is printed on a participant's machine and shown on the server's page. A rule's
name is stable, `group.what` in lower case, as in "graph.operators"; sentences may improve.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Measured = int | float | str | None


@dataclass(frozen=True, kw_only=True)
class Check:
    """One rule and whether it is kept."""

    rule: str
    """As in "limits.flops"."""
    passed: bool
    reason: str
    """One sentence: what was asked, what was found and, where it failed, what to do."""
    measured: Measured = None
    """What was found, in `unit`."""
    limit: Measured = None
    """What the track allows, in `unit`."""
    unit: str = ""
    """FLOPs, bytes, ms, ...; empty for what has none."""

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        return {
            "rule": self.rule,
            "passed": self.passed,
            "measured": self.measured,
            "limit": self.limit,
            "unit": self.unit,
            "reason": self.reason,
        }

    @staticmethod
    def from_dict(record: Mapping[str, Any]) -> Check:
        """From `to_dict`."""
        return Check(**{name: record[name] for name in Check.__dataclass_fields__})


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """All checks of one submission, in the order they were made."""

    track: str
    checks: tuple[Check, ...]
    facts: Mapping[str, Any] = field(default_factory=dict)
    """What was measured besides: parameters, FLOPs by operator, the machine's calibration factor,
    what the sandbox enforced. Plain JSON."""

    @property
    def accepted(self) -> bool:
        """Every rule is kept, and there was one."""
        return bool(self.checks) and all(check.passed for check in self.checks)

    @property
    def refusals(self) -> tuple[Check, ...]:
        """The rules that are broken."""
        return tuple(check for check in self.checks if not check.passed)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON, as `tronie challenge validate --json` prints it."""
        return {
            "accepted": self.accepted,
            "track": self.track,
            "checks": [check.to_dict() for check in self.checks],
            "facts": dict(self.facts),
        }

    @staticmethod
    def from_dict(record: Mapping[str, Any]) -> Verdict:
        """From `to_dict`."""
        return Verdict(
            track=record["track"],
            checks=tuple(Check.from_dict(check) for check in record["checks"]),
            facts=record["facts"],
        )
