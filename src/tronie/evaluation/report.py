"""A number with its unit, counts, interval and provenance; JSON both ways.

    {"report": "lfw", "version": "...",
     "values": {"accuracy": {"value": 0.9932, "unit": "fraction", "count": 5959, "total": 6000,
                             "interval": {"low": ..., "high": ..., "method": ..., ...}}},
     "details": {"points": [...], "curves": [...], ...},     see `report_parts`; where there are any
     "notes": ["..."], "provenance": {...}}

Rates are fractions in [0, 1]; the percent sign is the business of whoever prints them.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tronie.errors import BadFile, BadInput
from tronie.evaluation.metrics.intervals import Interval
from tronie.evaluation.plain_types import expect_types
from tronie.evaluation.report_parts import MOST_PARTS, Details
from tronie.provenance import Provenance

_TAKEN = frozenset({"report", "version", "counts", "intervals", "details", "notes", "provenance"})


@dataclass(frozen=True, kw_only=True)
class Value:
    """One number.

    Raises:
        BadInput: it is not finite, only one of `count` and `total` is given, or more was counted
            than there is.
    """

    value: float
    unit: str
    """ "fraction", "cosine", "pairs", "photographs", ..."""
    count: int | None = None
    """What was counted, where the value is a rate: correct pairs, accepted pairs."""
    total: int | None = None
    """Of how many."""
    interval: Interval | None = None

    def __post_init__(self) -> None:
        if not abs(self.value) < math.inf:  # of a whole number of any size, and false of NaN
            raise BadInput(f"a reported value must be finite; got {self.value}")
        if (self.count is None) != (self.total is None):
            raise BadInput(f"a rate has both counts; got {self.count} of {self.total}")
        if self.count is not None and self.total is not None and not 0 <= self.count <= self.total:
            raise BadInput(f"a count is from 0 to its total; got {self.count} of {self.total}")

    def to_dict(self) -> dict[str, Any]:
        """A plain dictionary; what is None is left out."""
        record: dict[str, Any] = {"value": self.value, "unit": self.unit}
        if self.count is not None:
            record |= {"count": self.count, "total": self.total}
        if self.interval is not None:
            record["interval"] = self.interval.to_dict()
        return record


@dataclass(frozen=True, kw_only=True)
class Report:
    """What a protocol says about one model.

    Raises:
        BadInput: a value is called what the flat form needs for itself, such as "notes".
    """

    name: str
    """The protocol, as the command line calls it."""
    version: str
    """Of the protocol's rules: two reports compare only when it is equal."""
    values: Mapping[str, Value]
    details: Details = field(default_factory=Details)
    """Operating points, curves, histograms, groups and pairs, where the protocol has them."""
    notes: tuple[str, ...] = ()
    """One sentence each: what a reader must know before quoting a value."""
    provenance: Provenance | None = None

    def __post_init__(self) -> None:
        if clash := sorted(_TAKEN & self.values.keys()):
            raise BadInput(f"a reported value must not be called {', '.join(clash)}")

    def to_dict(self) -> dict[str, Any]:
        """The flat form: each value at the top level under its own name.

        Counts stand under "counts" as [count, total], intervals under "intervals".
        """
        flat: dict[str, Any] = {"report": self.name, "version": self.version}
        flat |= {key: value.value for key, value in self.values.items()}
        flat["counts"] = {
            key: [value.count, value.total]
            for key, value in self.values.items()
            if value.count is not None
        }
        flat["intervals"] = {
            key: value.interval.to_dict()
            for key, value in self.values.items()
            if value.interval is not None
        }
        if details := self.details.to_dict():
            flat["details"] = details
        flat["notes"] = list(self.notes)
        flat["provenance"] = None if self.provenance is None else self.provenance.to_dict()
        return flat

    def to_json(self) -> str:
        """The full form, which `from_json` reads back to an equal Report."""
        record: dict[str, Any] = {
            "report": self.name,
            "version": self.version,
            "values": {key: value.to_dict() for key, value in self.values.items()},
        }
        if details := self.details.to_dict():
            record["details"] = details
        record["notes"] = list(self.notes)
        record["provenance"] = None if self.provenance is None else self.provenance.to_dict()
        return json.dumps(record, indent=2, ensure_ascii=False, allow_nan=False) + "\n"

    @staticmethod
    def from_json(text: str) -> Report:
        """Read what `to_json` wrote.

        Raises:
            BadFile: it is no JSON, or no report.
        """
        try:
            record = json.loads(text)
            made = record["provenance"]
            if len(record["values"]) > MOST_PARTS:
                raise BadFile(
                    f"it holds {len(record['values'])} values; at most {MOST_PARTS} are read"
                )
            found = Report(
                name=record["report"],
                version=record["version"],
                values={key: _value(entry) for key, entry in record["values"].items()},
                details=Details.from_dict(record.get("details", {})),
                notes=tuple(record["notes"]),
                provenance=None if made is None else Provenance.from_dict(made),
            )
            expect_types(found, name="report")
            return found
        except KeyError as error:
            raise BadFile(f"this report lacks the field {error}") from error
        except (ValueError, TypeError, AttributeError, OverflowError, BadInput) as error:
            raise BadFile(f"this is no report of tronie: {error}") from error


def _value(entry: Mapping[str, Any]) -> Value:
    interval = entry.get("interval")
    return Value(**{**entry, "interval": None if interval is None else Interval(**interval)})
