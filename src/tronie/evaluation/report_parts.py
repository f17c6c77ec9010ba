"""What a Report holds beside its values: operating points, curves, histograms, groups, pairs.

    FMR, FAR     impostor pairs accepted, over all impostor pairs
    FNMR         genuine pairs refused, over all genuine pairs
    TAR          1 - FNMR; "TAR at FAR 1e-6" is a label for both numbers

Terms are those of ISO/IEC 19795-1:2021 where pairs are compared once, without failures to
acquire: there FAR is FMR and TAR is 1 - FNMR. Pairs are unordered, each counted once; the
ordered count of a set against itself is twice as large, and the rates are the same.

Source: ISO/IEC 19795-1:2021; ISO/IEC 19795-10:2024 for groups.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from numbers import Real
from typing import Any

from tronie.errors import BadFile, BadInput
from tronie.evaluation.error_curve import ErrorCurve
from tronie.evaluation.metrics.intervals import Interval

FEW_ERRORS = 30
"""The rule of thirty: below so many errors a rate is rough (within 30 % at 90 % confidence)."""
MOST_PARTS = 10_000
"""Of each kind that are read from a Report: operating points, points of curves, groups, pairs."""
MOST_BINS = 100_000
"""Of all histograms together."""
_SAME_RATE = 1e-12


@dataclass(frozen=True, kw_only=True)
class OperatingPoint:
    """One FAR: its threshold, and what was counted at it.

    Raises:
        BadInput: a rate is outside [0, 1] or is not that of its counts, or more was counted than
            there is.
    """

    of: str = ""
    """Which set of the protocol, such as "mask"; empty where there is one only."""
    far: float
    """As asked."""
    threshold: float
    """To be used as `score >= threshold`."""
    achieved_far: float
    false_matches: int
    impostor_pairs: int
    """Of which `false_matches` are; unordered."""
    tar: float
    accepted: int
    genuine_pairs: int
    far_interval: Interval | None = None
    tar_interval: Interval | None = None
    sampled: bool = False
    """Counted on a sample of the impostor pairs: then the threshold is an estimate."""

    def __post_init__(self) -> None:
        _expect_rate(self.far, "far")
        _expect_rate_of("achieved_far", self.achieved_far, self.false_matches, self.impostor_pairs)
        _expect_rate_of("tar", self.tar, self.accepted, self.genuine_pairs)

    @property
    def misses(self) -> int:
        """Genuine pairs refused."""
        return self.genuine_pairs - self.accepted

    @property
    def few_errors(self) -> bool:
        """Fewer than 30 errors of one kind stand behind this point."""
        return min(self.false_matches, self.misses) < FEW_ERRORS

    @property
    def note(self) -> str:
        """What to know before quoting it; empty if nothing."""
        if not self.few_errors:
            return ""
        return (
            f"rests on {self.false_matches} false matches and {self.misses} misses; "
            f"below {FEW_ERRORS} a rate is rough"
        )

    def to_dict(self) -> dict[str, Any]:
        """A plain dictionary; says `few_errors` too."""
        record: dict[str, Any] = {
            "far": self.far,
            "threshold": self.threshold,
            "tar": self.tar,
            "achieved_far": self.achieved_far,
            "false_matches": self.false_matches,
            "impostor_pairs": self.impostor_pairs,
            "accepted": self.accepted,
            "genuine_pairs": self.genuine_pairs,
            "far_interval": None if self.far_interval is None else self.far_interval.to_dict(),
            "tar_interval": None if self.tar_interval is None else self.tar_interval.to_dict(),
            "sampled": self.sampled,
            "few_errors": self.few_errors,
        }
        if self.note:
            record["note"] = self.note
        return {"of": self.of, **record} if self.of else record

    @staticmethod
    def from_dict(record: Mapping[str, Any]) -> OperatingPoint:
        """Read what `to_dict` wrote."""
        told = {k: v for k, v in record.items() if k not in ("few_errors", "note")}
        for name in ("far_interval", "tar_interval"):
            if told.get(name) is not None:
                told[name] = Interval(**told[name])
        return OperatingPoint(**told)


@dataclass(frozen=True, kw_only=True)
class CurvePoint:
    """One point of a DET curve, with the errors behind it.

    Raises:
        BadInput: a rate is outside [0, 1].
    """

    threshold: float
    fmr: float
    fnmr: float
    false_matches: int
    misses: int
    sampled: bool = False
    """`false_matches` were counted on a sample of the impostor pairs."""

    def __post_init__(self) -> None:
        _expect_rate(self.fmr, "fmr")
        _expect_rate(self.fnmr, "fnmr")

    @property
    def few_errors(self) -> bool:
        """Fewer than 30 errors of one kind stand behind this point."""
        return min(self.false_matches, self.misses) < FEW_ERRORS


@dataclass(frozen=True, kw_only=True)
class Curve:
    """A DET curve: FNMR over FMR, by rising FMR."""

    of: str = ""
    points: tuple[CurvePoint, ...]

    def to_dict(self) -> dict[str, Any]:
        """A plain dictionary."""
        return {"of": self.of, "points": [asdict(point) for point in self.points]}

    @staticmethod
    def from_dict(record: Mapping[str, Any]) -> Curve:
        """Read what `to_dict` wrote."""
        return Curve(of=record["of"], points=tuple(CurvePoint(**p) for p in record["points"]))


@dataclass(frozen=True, kw_only=True)
class Histogram:
    """How scores of one kind are spread: equal bins from `low` to `high`.

    Raises:
        BadInput: there is no bin, or `low` is not below `high`.
    """

    of: str = ""
    kind: str
    """ "genuine" or "impostor"."""
    low: float
    high: float
    counts: tuple[int, ...]
    sampled: bool = False

    def __post_init__(self) -> None:
        if not self.counts or not self.low < self.high:
            raise BadInput(
                f"a histogram needs bins between two scores; got {len(self.counts)} bins from "
                f"{self.low} to {self.high}"
            )

    def to_dict(self) -> dict[str, Any]:
        """A plain dictionary."""
        return {**asdict(self), "counts": list(self.counts)}

    @staticmethod
    def from_dict(record: Mapping[str, Any]) -> Histogram:
        """Read what `to_dict` wrote."""
        return Histogram(**{**record, "counts": tuple(record["counts"])})


@dataclass(frozen=True, kw_only=True)
class GroupRate:
    """FMR and FNMR of one group of people among themselves, at the threshold of all.

    Raises:
        BadInput: there are more errors than pairs.
    """

    group: str
    false_matches: int
    impostor_pairs: int
    misses: int
    genuine_pairs: int

    def __post_init__(self) -> None:
        _expect_part(f"false matches of {self.group!r}", self.false_matches, self.impostor_pairs)
        _expect_part(f"misses of {self.group!r}", self.misses, self.genuine_pairs)

    @property
    def fmr(self) -> float | None:
        """None where the group has no impostor pair."""
        return self.false_matches / self.impostor_pairs if self.impostor_pairs else None

    @property
    def fnmr(self) -> float | None:
        """None where the group has no genuine pair."""
        return self.misses / self.genuine_pairs if self.genuine_pairs else None


@dataclass(frozen=True, kw_only=True)
class Groups:
    """Groups compared at one threshold, and how far the worst is from the middle.

    The ratio is the largest rate over the geometric mean of all (ISO/IEC 19795-10, as in
    NIST's FRVT part 8); None where a group has no error, since the mean is then zero.
    """

    of: str = ""
    far: float
    threshold: float
    rates: tuple[GroupRate, ...]
    fmr_max_over_geomean: float | None
    fnmr_max_over_geomean: float | None

    def to_dict(self) -> dict[str, Any]:
        """A plain dictionary; each rate with its counts."""
        record = asdict(self)
        record["rates"] = [{**asdict(r), "fmr": r.fmr, "fnmr": r.fnmr} for r in self.rates]
        return record

    @staticmethod
    def from_dict(record: Mapping[str, Any]) -> Groups:
        """Read what `to_dict` wrote."""
        rates = [{k: v for k, v in r.items() if k not in ("fmr", "fnmr")} for r in record["rates"]]
        return Groups(**{**record, "rates": tuple(GroupRate(**rate) for rate in rates)})


@dataclass(frozen=True, kw_only=True)
class PairExample:
    """A pair worth looking at: an impostor pair that scores high, a genuine one that scores low."""

    of: str = ""
    kind: str
    """ "impostor" or "genuine"."""
    score: float
    rows: tuple[int, int]
    labels: tuple[int | str, int | str]

    def to_dict(self) -> dict[str, Any]:
        """A plain dictionary."""
        return {**asdict(self), "rows": list(self.rows), "labels": list(self.labels)}

    @staticmethod
    def from_dict(record: Mapping[str, Any]) -> PairExample:
        """Read what `to_dict` wrote."""
        rows, labels = (tuple(record[name]) for name in ("rows", "labels"))
        return PairExample(**{**record, "rows": rows, "labels": labels})


@dataclass(frozen=True, kw_only=True)
class Details:
    """All of it, as one part of a Report."""

    points: tuple[OperatingPoint, ...] = ()
    curves: tuple[Curve, ...] = ()
    histograms: tuple[Histogram, ...] = ()
    groups: tuple[Groups, ...] = ()
    pairs: tuple[PairExample, ...] = ()
    error_curves: tuple[ErrorCurve, ...] = ()
    most_errors: Mapping[str, Sequence[Mapping[str, Any]]] = field(default_factory=dict)
    """What is counted ("false matches at FAR 1e-06") to labels by falling count:
    [{"label": ..., "in_pairs": ...}, ...]; a pair of two people is counted at both."""

    @staticmethod
    def joined(parts: Iterable[Details]) -> Details:
        """Those of several as one, in their order; where two count the same errors, the last do."""
        every = list(parts)
        return Details(
            points=tuple(point for part in every for point in part.points),
            curves=tuple(curve for part in every for curve in part.curves),
            histograms=tuple(one for part in every for one in part.histograms),
            groups=tuple(groups for part in every for groups in part.groups),
            pairs=tuple(pair for part in every for pair in part.pairs),
            error_curves=tuple(curve for part in every for curve in part.error_curves),
            most_errors={key: rows for part in every for key, rows in part.most_errors.items()},
        )

    def to_dict(self) -> dict[str, Any]:
        """A plain dictionary; what is empty is left out."""
        record: dict[str, Any] = {
            "points": [point.to_dict() for point in self.points],
            "curves": [curve.to_dict() for curve in self.curves],
            "histograms": [histogram.to_dict() for histogram in self.histograms],
            "groups": [groups.to_dict() for groups in self.groups],
            "pairs": [pair.to_dict() for pair in self.pairs],
            "error_curves": [curve.to_dict() for curve in self.error_curves],
            "most_errors": {k: [dict(row) for row in v] for k, v in self.most_errors.items()},
        }
        return {name: part for name, part in record.items() if part}

    @staticmethod
    def from_dict(record: Mapping[str, Any]) -> Details:
        """Read what `to_dict` wrote.

        Raises:
            BadFile: it holds more than MOST_PARTS or MOST_BINS; the message says of what.
            BadInput: a part refuses its numbers.
        """
        _expect_few(record)
        return Details(
            points=tuple(OperatingPoint.from_dict(p) for p in record.get("points", ())),
            curves=tuple(Curve.from_dict(c) for c in record.get("curves", ())),
            histograms=tuple(Histogram.from_dict(h) for h in record.get("histograms", ())),
            groups=tuple(Groups.from_dict(g) for g in record.get("groups", ())),
            pairs=tuple(PairExample.from_dict(p) for p in record.get("pairs", ())),
            error_curves=tuple(ErrorCurve.from_dict(c) for c in record.get("error_curves", ())),
            most_errors=record.get("most_errors", {}),
        )


def _expect_rate(rate: Any, name: str) -> None:
    # What is no number is refused where types are looked at, by its place; NaN as well.
    if _are_numbers(rate) and (rate < 0 or rate > 1):
        raise BadInput(f"{name} is a rate, from 0 to 1; got {rate!r:.60}")


def _expect_part(name: str, count: Any, total: Any) -> None:
    if _are_numbers(count, total) and not 0 <= count <= total:
        raise BadInput(f"{name}: there cannot be {count!r:.60} in {total!r:.60} pairs")


def _expect_rate_of(name: str, rate: Any, count: Any, total: Any) -> None:
    _expect_rate(rate, name)
    _expect_part(f"counts behind {name}", count, total)
    if not _are_numbers(rate, count, total):
        return
    if not total:
        raise BadInput(f"{name} needs a pair that it is a rate of; got none")
    if abs(rate - count / total) > _SAME_RATE:
        raise BadInput(f"{name} must be {count!r:.60} of {total!r:.60} pairs; got {rate!r:.60}")


def _are_numbers(*values: Any) -> bool:
    return all(isinstance(value, Real) for value in values)


def _expect_few(record: Mapping[str, Any]) -> None:
    found = {
        "operating points": len(record.get("points", ())),
        "points of curves": sum(len(curve["points"]) for curve in record.get("curves", ())),
        "groups": sum(len(groups["rates"]) for groups in record.get("groups", ())),
        "pairs": len(record.get("pairs", ())),
        "points of error curves": sum(len(c["shares"]) for c in record.get("error_curves", ())),
        "lists of labels": len(record.get("most_errors", {})),
        "bins of histograms": sum(len(one["counts"]) for one in record.get("histograms", ())),
    }
    for what, number in found.items():
        most = MOST_BINS if what == "bins of histograms" else MOST_PARTS
        if number > most:
            raise BadFile(f"it holds {number} {what}; at most {most} are read")
