"""What a gallery remembers, without the SQL: people, photographs, and its refusals in words."""

from __future__ import annotations

import difflib
import os
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tronie.errors import BadArray, BadInput, GalleryError, GalleryLocked, GalleryMismatch, NotFound

LONGEST_NAME = 200

_BUSY, _LOCKED, _CORRUPT, _NOT_A_DATABASE = 5, 6, 11, 26  # https://sqlite.org/rescode.html


@dataclass(frozen=True, eq=False, kw_only=True)
class Photograph:
    """One face to remember, and the photograph it was found in."""

    source: str
    """What to call the photograph in a message; a file name, without its folders."""
    sha256: str
    """Of the bytes of the image file: how the same photograph is known again."""
    box: tuple[float, float, float, float]
    """x1 y1 x2 y2, pixels."""
    detector_score: float
    embedding: NDArray[np.float32]
    """(D,), of any length but zero; stored at length 1."""


@dataclass(frozen=True, kw_only=True)
class Person:
    """One person in the gallery."""

    name: str
    consent: str
    """Who agreed to what, when; empty when nothing was noted."""
    retention_until: date | None
    """The last day (UTC) on which this person may be matched; None for no limit."""
    created: str
    """UTC, ISO 8601."""
    photographs: int


class Embeddings(NamedTuple):
    """Photographs to compare with, one a row."""

    names: tuple[str, ...]
    """(N,), whose each photograph is."""
    sources: tuple[str, ...]
    """(N,), what each is called in a message."""
    rows: NDArray[np.float32]
    """(N, D), unit rows."""


def clean_name(name: str) -> str:
    """A person's name in Unicode form NFC, without spaces at its ends.

    Raises:
        BadInput: nothing is left, or it is too long, or holds unprintable characters.
    """
    cleaned = unicodedata.normalize("NFC", name).strip()
    if not cleaned or len(cleaned) > LONGEST_NAME or not cleaned.isprintable():
        raise BadInput(
            f"a name must have 1 to {LONGEST_NAME} printable characters; got {name[:300]!r}"
        )
    return cleaned


def check_photographs(name: str, photographs: Sequence[Photograph], *, dimension: int) -> None:
    """Refuse to add nothing, or an embedding that is not (dimension,).

    Raises:
        BadInput: there is no photograph.
        BadArray: naming the photograph.
    """
    if not photographs:
        raise BadInput(f"nothing to add for {name}: give at least one photograph")
    for photo in photographs:
        if np.shape(photo.embedding) != (dimension,):
            raise BadArray(
                f"{photo.source}: the embedding must have shape ({dimension},); "
                f"got {np.shape(photo.embedding)}"
            )


def to_row(photo: Photograph) -> dict[str, Any]:
    """What is stored of a photograph beside its embedding."""
    return {
        "source": photo.source,
        "sha256": photo.sha256,
        "box": [float(side) for side in photo.box],
        "detector_score": float(photo.detector_score),
        "created": now(),
    }


def to_person(row: Mapping[Any, Any], path: Path) -> Person:
    """One person of what was stored.

    Raises:
        GalleryError: a value is of the wrong type, or the retention date is no date.
    """
    until = row["retention_until"]
    if not all(isinstance(row[key], str) for key in ("name", "consent", "created")):
        raise damaged(path, f"name, consent or date of {row['name']!r} is no text")
    return Person(**{**row, "retention_until": None if until is None else to_day(until, path)})


def to_day(text: object, path: Path) -> date:
    """A retention date of what was stored.

    Raises:
        GalleryError: it is no date.
    """
    try:
        return date.fromisoformat(str(text))
    except ValueError as fault:
        raise damaged(path, f"the retention date {text!r} is no date") from fault


def now() -> str:
    """UTC, ISO 8601, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def today() -> date:
    """The UTC day, which retention is judged by."""
    return datetime.now(UTC).date()


def to_blob(unit: NDArray[np.float32]) -> bytes:
    """A unit vector as it is stored: float32, little-endian."""
    return unit.astype("<f4").tobytes()


def from_blobs(blobs: Sequence[bytes], path: Path, *, dimension: int) -> NDArray[np.float32]:
    """Unit rows (N, D) of what was stored.

    Raises:
        GalleryError: a blob of another length, or no unit vector in it.
    """
    if any(not isinstance(blob, bytes) or len(blob) != 4 * dimension for blob in blobs):
        raise damaged(path, "an embedding has the wrong length")
    rows = np.frombuffer(b"".join(blobs), dtype="<f4").reshape(-1, dimension)
    lengths = np.linalg.norm(rows.astype(np.float64), axis=1)
    if not (np.abs(lengths - 1) < 1e-5).all():
        raise damaged(path, "an embedding is no unit vector")
    return rows.astype(np.float32, copy=False)


def make_file(path: Path, *, create: bool) -> None:
    """An empty file that only its owner may read.

    Raises:
        NotFound: none is to be made.
        GalleryError: it cannot be made.
    """
    if not create:
        raise no_gallery(path)
    try:
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    except OSError as error:
        raise GalleryError(
            f"cannot make the gallery {path.name}: {error.strerror}. Choose a folder that "
            "exists and may be written"
        ) from error


def no_gallery(path: Path) -> NotFound:
    """There is nothing to open at `path`."""
    return NotFound(f"there is no gallery {path.name}; enroll somebody to make it")


def damaged(path: Path, what: str) -> GalleryError:
    """The file cannot be trusted."""
    return GalleryError(
        f"{path.name} is damaged or no gallery: {' '.join(what.split())}. Nothing was changed; "
        "restore it from a backup, or enroll again into a new file"
    )


def taken(photo: Photograph, *, owner: str, name: str) -> BadInput:
    """One photograph cannot be of two people."""
    return BadInput(
        f"{photo.source} is already a photograph of {owner}; nothing was added for {name}. "
        "Remove one of the two"
    )


def nobody(path: Path, *, name: str, names: Sequence[str]) -> NotFound:
    """`name` is not among `names`; the nearest is offered."""
    near = difflib.get_close_matches(name, names, n=1)
    hint = f". Did you mean {near[0]}?" if near else ""
    return NotFound(f"nobody is called {name} in {path.name}{hint}")


def not_wiped(path: Path, *, names: Sequence[str] = ()) -> GalleryLocked:
    """Deleted, but another process keeps the old pages alive."""
    who = ", ".join(names) or "what was deleted"
    return GalleryLocked(
        f"{who}: gone from the tables of {path.name}, but names and numbers may still be in the "
        "file and its log, because another process is reading. Close it, then wipe the gallery"
    )


def time_is_over(path: Path, *, name: str) -> BadInput:
    """Nobody is enrolled further who must not be matched any more."""
    return BadInput(
        f"the retention date of {name} in {path.name} has passed: they are not matched, and "
        "nothing was added; state a new --retain-until, or purge the gallery"
    )


def sqlite_refused(path: Path, *, code: int, text: str) -> GalleryError:
    """What an SQLite result code means for whoever uses the gallery."""
    primary = code & 0xFF
    if primary in (_BUSY, _LOCKED):
        return GalleryLocked(
            f"the gallery {path.name} is in use by another process; try again when it is done"
        )
    if primary in (_CORRUPT, _NOT_A_DATABASE):
        return damaged(path, text)
    return GalleryError(
        f"cannot use the gallery {path.name}: {text}. It must be a file in a folder that may "
        "be written, on a disk with room"
    )


def check_made_with(
    path: Path,
    *,
    found: Sequence[Mapping[Any, Any]],
    asked: Mapping[str, Any] | None,
    schema: int,
) -> None:
    """Refuse what is no gallery, of a newer tronie, or of another contract than `asked`.

    Args:
        found: The rows of the table meta: one, where all is well.
        asked: Contract and dimension that are needed; None for whatever it was made with.

    Raises:
        GalleryError: there is no row, a value in it is of the wrong type, or its schema is
            newer than `schema`.
        GalleryMismatch: it was made with another contract or dimension.
    """
    if not found:
        raise GalleryError(
            f"{path.name} is a database, but no gallery of tronie; choose another file"
        )
    made = found[0]
    numbers, texts = ("schema", "dimension"), ("contract", "model", "detector", "created")
    wrong = [key for key in numbers if not isinstance(made[key], int) or made[key] < 1]
    if wrong := wrong + [key for key in texts if not isinstance(made[key], str)]:
        raise damaged(path, f"{wrong[0]} in its table meta is {made[wrong[0]]!r}")
    if made["schema"] > schema:
        raise GalleryError(
            f"{path.name} was written by a newer tronie (schema {made['schema']}; this one "
            f"reads up to {schema}); upgrade tronie"
        )
    if asked is not None and any(made[key] != asked[key] for key in ("contract", "dimension")):
        raise GalleryMismatch(
            f"{path.name} was made with {_describe(made)}; you asked for {_describe(asked)}. "
            "Scores between the two mean nothing: use the first, or enroll into a new gallery"
        )


def _describe(made: Mapping[Any, Any]) -> str:
    return (
        f"model {made['model']}, detector {made['detector']}, "
        f"{made['dimension']} numbers (contract {made['contract']})"
    )
