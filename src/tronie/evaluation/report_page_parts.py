"""The parts of a page about Reports: what stands where, as text that is not yet markup.

A Page holds Sections, one a protocol; a Section holds tables, charts and pairs of its Models.
Every number is a Cell: already worded, with its counts, its interval and its marks.
"""

from __future__ import annotations

from dataclasses import dataclass

from tronie.provenance import Provenance


@dataclass(frozen=True, kw_only=True)
class Photo:
    """The photograph of one row of the feature matrix."""

    name: str
    """As the list of images calls it."""
    uri: str | None
    """A data: address of its thumbnail; None where it could not be read."""


@dataclass(frozen=True, kw_only=True)
class Cell:
    """A number as it is shown."""

    text: str
    counts: str = ""
    interval: str = ""
    marks: tuple[str, ...] = ()
    share: float = 0.0
    """Of the largest beside it, for a bar; 0 without one."""


@dataclass(frozen=True, kw_only=True)
class Model:
    """One report: its name, and which color, dash and marker it has on the whole page."""

    name: str
    style: int
    protocol: str
    version: str
    made: Provenance | None


@dataclass(frozen=True, kw_only=True)
class PointRow:
    """One operating point of one model."""

    far: str
    model: Model
    tar: Cell
    fnmr: Cell
    threshold: str
    fmr: Cell
    marks: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One set of a protocol: its operating points and charts."""

    of: str
    points: tuple[PointRow, ...]
    det: str | None
    scores: tuple[tuple[Model, str], ...]
    errors: str | None


@dataclass(frozen=True, kw_only=True)
class GroupTable:
    """Groups of people at one threshold."""

    model: Model
    of: str
    far: str
    threshold: str
    rows: tuple[tuple[str, Cell, Cell], ...]
    """Group, FMR, FNMR."""
    fmr_ratio: str
    fnmr_ratio: str


@dataclass(frozen=True, kw_only=True)
class PairRow:
    """Two rows of the matrix; a photograph is None where none was asked for."""

    of: str
    score: str
    labels: tuple[str, str]
    rows: tuple[int, int]
    photos: tuple[Photo | None, Photo | None]


@dataclass(frozen=True, kw_only=True)
class PairTable:
    """The worst pairs of one kind."""

    model: Model
    kind: str
    pairs: tuple[PairRow, ...]
    left_out: int


@dataclass(frozen=True, kw_only=True)
class LabelTable:
    """People who take part in most errors."""

    model: Model
    what: str
    rows: tuple[tuple[str, str], ...]
    left_out: int


@dataclass(frozen=True, kw_only=True)
class Section:
    """All reports of one protocol."""

    protocol: str
    models: tuple[Model, ...]
    differences: tuple[str, ...]
    """Why they must not be compared; empty where they may."""
    values: tuple[tuple[str, tuple[Cell | None, ...]], ...]
    """Name, and a cell for each model; None where it has no such value."""
    figures: tuple[Figure, ...]
    groups: tuple[GroupTable, ...]
    pairs: tuple[PairTable, ...]
    labels: tuple[LabelTable, ...]
    notes: tuple[tuple[Model, tuple[str, ...]], ...]


@dataclass(frozen=True, kw_only=True)
class Page:
    """Everything that the page shows."""

    models: tuple[Model, ...]
    sections: tuple[Section, ...]
    methods: tuple[str, ...]
    """How the intervals on the page were made."""
    made: tuple[tuple[str, tuple[str, ...], bool], ...]
    """A field of the provenance, its text for each model, and whether they differ."""
    has_photos: bool
