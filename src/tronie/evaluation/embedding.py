"""Embed many photographs into a matrix on disk; a run that was killed goes on where it was.

    made = embed_to_matrix(paths, embed, Path("M.npy"), run="model 8f23..., flip")
    made.path, made.without_face          # (N, D) float32, and the rows that are NaN

    M.npy.part       the rows so far, at full size from the first chunk on
    M.npy.journal    JSON: whose rows they are, and how many are done

Rows reach the disk before the journal says so, and the journal is replaced whole: whatever
moment a run is killed at, the rows it counts are there. The file takes its name at the end.
A journal belongs to one run: what `run` names, the chunk size (an engine may round a batch
of another size differently), and the photographs with their sizes and times of change.

Letters: N photographs, D numbers in an embedding.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tronie.errors import BadArray, BadFile, BadInput, NotEnoughData, NotFound

Embed = Callable[[Sequence[bytes]], NDArray[np.float32]]
"""n encoded photographs to (n, D) float32, a row of NaN where no face was found."""

Progress = Callable[[int, int], None]
"""Called with (done, total) photographs."""

CHUNK = 64
_FORMAT = 1
_SCANNED_ROWS = 1 << 14


@dataclass(frozen=True, eq=False, kw_only=True)
class EmbeddedMatrix:
    """A matrix that is whole, with its name."""

    path: Path
    """An .npy of float32, shape (N, D), as the network gives them: not normalized."""
    rows: int
    dimension: int
    without_face: NDArray[np.int64]
    """Rows of NaN, rising: to be left out, or counted as failures to enroll."""


@dataclass(frozen=True, kw_only=True)
class _Journal:
    run: str
    rows: int
    dimension: int
    done: int


def embed_to_matrix(
    paths: Sequence[Path],
    embed: Embed,
    out: Path,
    *,
    run: str,
    chunk: int = CHUNK,
    progress: Progress | None = None,
) -> EmbeddedMatrix:
    """Write the embedding of each photograph to `out`, in the order of `paths`.

    Args:
        paths: Photograph files; one row each.
        embed: Called with the bytes of at most `chunk` files at a time.
        out: An .npy; one that is there is replaced when all is done.
        run: What else the rows depend on: checksums of the models, and their settings.
        progress: Called with what was done before, and after every chunk.

    Raises:
        NotFound: a photograph is not there.
        NotEnoughData: there is none.
        BadInput: the journal belongs to another run, or a file cannot be read or written.
        BadFile: the journal, or what it counts, is damaged.
        BadArray: `embed` returned anything but one finite or all-NaN row a photograph.
    """
    if out.suffix != ".npy" or chunk < 1:
        raise BadInput(f"rows go to an .npy, a chunk of 1 or more at once; got {out} and {chunk}")
    if not paths:
        raise NotEnoughData("a matrix of embeddings needs a photograph; no file was named")
    part, journal = out.with_name(f"{out.name}.part"), out.with_name(f"{out.name}.journal")
    name = _run_name(run, chunk, paths)
    try:
        found = _resumed(journal, part, out, run=name, rows=len(paths))
        done = 0 if found is None else found.done
        if progress is not None:
            progress(done, len(paths))
        for start in range(done, len(paths), chunk):
            files = paths[start : start + chunk]
            rows = one_row_each(
                embed([_bytes_of(file) for file in files]),
                [str(file) for file in files],
                dimension=None if found is None else found.dimension,
            )
            dimension = rows.shape[1]
            if found is None:
                _make_room(part, (len(paths), dimension))
            _write_rows(part, rows, start)
            found = _Journal(
                run=name, rows=len(paths), dimension=dimension, done=start + len(files)
            )
            _write_journal(journal, found)
            if progress is not None:
                progress(found.done, len(paths))
        if part.exists():
            part.replace(out)
        journal.unlink(missing_ok=True)
        _sync_folder(out.parent)
    except OSError as fault:
        raise BadInput(f"{out} cannot be written: {fault.strerror or fault}") from fault
    return _whole(out)


def one_row_each(
    rows: NDArray[Any], names: Sequence[str], *, dimension: int | None = None
) -> NDArray[np.float32]:
    """What an embedder returned, as (n, D) float32 that keeps its promise.

    Args:
        rows: As returned for the n photographs `names`.
        dimension: D, once known.

    Raises:
        BadArray: another shape, or a row that is neither finite nor all NaN.
    """
    found = np.asarray(rows)
    width = found.shape[1] if found.ndim == 2 else 0
    if len(names) != len(found) or not width or (dimension or width) != width:
        wanted = "D" if dimension is None else dimension
        raise BadArray(
            f"embed must return one row a photograph, shape ({len(names)}, {wanted}); "
            f"got shape {found.shape}"
        )
    faceless = np.isnan(found).all(axis=1)
    broken = np.flatnonzero(~faceless & ~np.isfinite(found).all(axis=1))
    if len(broken):
        raise BadArray(
            f"the embedding of {names[int(broken[0])]} must be finite, or all NaN for no face"
        )
    return found.astype(np.float32, copy=False)


def _whole(path: Path) -> EmbeddedMatrix:
    matrix = np.load(path, mmap_mode="r", allow_pickle=False)
    parts = [
        top + np.flatnonzero(np.isnan(matrix[top : top + _SCANNED_ROWS, 0]))
        for top in range(0, len(matrix), _SCANNED_ROWS)
    ]
    return EmbeddedMatrix(
        path=path,
        rows=matrix.shape[0],
        dimension=matrix.shape[1],
        without_face=np.concatenate(parts).astype(np.int64),
    )


def _run_name(run: str, chunk: int, paths: Sequence[Path]) -> str:
    """What a journal must agree on."""
    digest = hashlib.sha256()
    for path in paths:
        try:
            told = path.stat()
        except OSError as fault:
            raise NotFound(f"the photograph {path} cannot be read: {fault.strerror}") from None
        digest.update(f"{os.fspath(path)!r} {told.st_size} {told.st_mtime_ns}\n".encode())
    return json.dumps([run, chunk, digest.hexdigest()])


def _bytes_of(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as fault:
        raise NotFound(f"the photograph {path} cannot be read: {fault.strerror}") from None


def _resumed(journal: Path, part: Path, out: Path, *, run: str, rows: int) -> _Journal | None:
    """What is done; None where nothing is."""
    found = _read_journal(journal)
    if found is None:
        return None
    if found.run != run:
        raise BadInput(
            f"the half-made matrix {part} belongs to another run (another model, other settings "
            f"or photographs); delete it and {journal}, or name another file"
        )
    # Killed between the last two steps, it has its name already.
    holder = out if found.done == rows and not part.exists() else part
    header = _header((rows, found.dimension))
    size = len(header) + 4 * rows * found.dimension
    try:
        with holder.open("rb") as file:
            kept = file.read(len(header)) == header and holder.stat().st_size == size
    except FileNotFoundError:
        kept = False
    if not kept:
        raise BadFile(
            f"{journal} counts {found.done} rows and {holder} does not hold them; delete both to "
            "start anew"
        )
    return found


def _read_journal(journal: Path) -> _Journal | None:
    try:
        told = json.loads(journal.read_text(encoding="utf-8"))
        if told.pop("format") != _FORMAT:
            raise ValueError("of another version")
        found = _Journal(**told)
        if not 0 < found.done <= found.rows or found.dimension < 1:
            raise ValueError(f"it counts {found.done} of {found.rows} rows")
        return found
    except FileNotFoundError:
        return None
    except (ValueError, TypeError, KeyError, AttributeError) as fault:
        raise BadFile(f"{journal} is no journal of a matrix; delete it to start anew") from fault


def _write_journal(journal: Path, told: _Journal) -> None:
    record = {
        "format": _FORMAT,
        "run": told.run,
        "rows": told.rows,
        "dimension": told.dimension,
        "done": told.done,
    }
    half = journal.with_name(f"{journal.name}.part")
    with half.open("w", encoding="utf-8") as file:
        json.dump(record, file)
        file.flush()
        os.fsync(file.fileno())
    half.replace(journal)
    _sync_folder(journal.parent)


def _header(shape: tuple[int, int]) -> bytes:
    described = {"descr": "<f4", "fortran_order": False, "shape": shape}
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, described)
    return file.getvalue()


def _make_room(part: Path, shape: tuple[int, int]) -> None:
    """The file at its full size: a disk that is too small says so now and not at the end."""
    header = _header(shape)
    with part.open("wb") as file:
        file.write(header)
        file.flush()
        os.posix_fallocate(file.fileno(), 0, len(header) + 4 * shape[0] * shape[1])


def _write_rows(part: Path, rows: NDArray[np.float32], start: int) -> None:
    with part.open("r+b") as file:
        np.lib.format.read_magic(file)
        np.lib.format.read_array_header_1_0(file)
        file.seek(4 * start * rows.shape[1], os.SEEK_CUR)
        file.write(np.ascontiguousarray(rows, dtype="<f4").tobytes())
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    """Make the renames last too, where the system can."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
