"""A track: a protocol, what a submission to it may be and cost, its dates, prizes and rules.

A track says what is judged; it holds no data and no state. The data behind it lie with the
organizer (`scoring`), dates that were moved and a winner's bonus in the database (`store`).

One file of `tracks/` holds one challenge, and in VARIANTS its tracks: "a" of mfr21.py is the
track mfr21-a.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from tronie import catalog
from tronie.errors import BadInput

CATALOGUE = "tronie.server.challenge.tracks"
MIB = 2**20
GIB = 2**30


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What a submission may be and cost; None where a track has no such limit."""

    upload_bytes: int
    """Of the file that is sent."""
    model_bytes: int | None = None
    """Of model.onnx and its weights."""
    flops_lfr: int | None = None
    """FLOPs by the rule of LFR19; see `tronie.runtime.flops`."""
    dimension: int = 512
    """Numbers in an embedding."""
    latency_ms: float | None = None
    """Of one crop, on the machine of the challenge; see `reference`."""


@dataclass(frozen=True, kw_only=True)
class Reference:
    """The machine that a limit of time was given for, by one network timed on it."""

    machine: str
    network: str
    """A backbone of `tronie list backbones`."""
    latency_ms: float
    """Of that network on that machine, as published."""


@dataclass(frozen=True, kw_only=True)
class Phase:
    """A stretch of time; None for no beginning or no end."""

    name: str
    opens: datetime | None = None
    closes: datetime | None = None
    hidden: bool = False
    """Scores are shown to nobody but the team until the phase has closed."""

    def __post_init__(self) -> None:
        for moment in (self.opens, self.closes):
            if moment is not None and moment.tzinfo is None:
                raise BadInput(f"phase {self.name!r} needs moments with a time zone; got {moment}")
        if self.opens and self.closes and self.opens >= self.closes:
            raise BadInput(
                f"phase {self.name!r} must open before it closes; got {self.opens} and "
                f"{self.closes}"
            )

    def is_open(self, now: datetime) -> bool:
        """Whether submissions are taken at that moment."""
        after = self.opens is None or self.opens <= now
        return after and (self.closes is None or now < self.closes)


@dataclass(frozen=True, kw_only=True)
class Column:
    """A column of the leaderboard."""

    key: str
    """Of a value of the protocol's Report; "model_mib", "flops_lfr", "latency_ms" and "dimension"
    are taken from the checks."""
    title: str
    form: Literal["percent", "number", "count"] = "percent"
    decimals: int = 2
    larger_is_better: bool = True


@dataclass(frozen=True, kw_only=True)
class Track:
    """All that a team has to know, and the worker to do."""

    title: str
    summary: str
    """A paragraph."""
    rules: tuple[str, ...]
    """Sentences, in the order in which they are shown."""
    protocol: str
    """A protocol of `tronie list protocols`."""
    takes: Literal["model", "features"]
    """"model": model.onnx, alone or in a zip. "features": a zip of a feature matrix, and of the
    model that made it, for its limits."""
    limits: Limits
    columns: tuple[Column, ...]
    """Of the leaderboard; the first ranks."""
    tie_breaks: tuple[str, ...] = ()
    """Keys of columns that order equal scores, before the earlier submission wins."""
    rows: int | None = None
    """Of the feature matrix, where every organizer's data are the same."""
    reference: Reference | None = None
    """What `limits.latency_ms` was given for; None: this machine as it is."""
    subgraphs: bool = False
    """Whether If, Loop and Scan are allowed."""
    per_day: int = 3
    """Submissions of one organization in one day of UTC."""
    phases: tuple[Phase, ...] = (Phase(name="open"),)
    prizes: Mapping[int, str] = field(default_factory=dict)
    """By place."""
    bonus_shares: Mapping[int, float] = field(default_factory=dict)
    """By place, the share of a bonus pool, in [0, 1]."""
    ladder: float = 0.0
    """A team's shown score moves only when a new one is better by this much; 0: always."""
    source: str = ""
    """Where the rules are published."""

    def __post_init__(self) -> None:
        keys = [column.key for column in self.columns]
        if not keys or len(set(keys)) != len(keys):
            raise BadInput(f"a track needs columns of different keys; got {keys}")
        if strange := sorted(set(self.tie_breaks) - set(keys)):
            raise BadInput(f"tie-breaks are columns of the track; {strange[0]!r} is none of {keys}")
        if self.per_day < 1 or self.ladder < 0:
            raise BadInput(
                f"per_day must be 1 or more and ladder 0 or more; got {self.per_day} and "
                f"{self.ladder}"
            )
        if self.limits.latency_ms is not None and self.limits.latency_ms <= 0:
            raise BadInput(f"limits.latency_ms must be above 0; got {self.limits.latency_ms}")


def names() -> tuple[str, ...]:
    """Every track, as in "mfr21-a"; imports none of them."""
    return catalog.variant_names(CATALOGUE)


def open_track(name: str) -> Track:
    """The track of that name.

    Raises:
        NotFound: no such track; the message holds the nearest name and the list.
    """
    key, variant = catalog.variant_parts(CATALOGUE, name, exact=True)
    found: Track = catalog.load(CATALOGUE, key, "VARIANTS")[variant]
    return found
