"""From an organizer's private data and what a team sent to a Report.

    DIR/META.csv        one line a row, as `tronie evaluate` takes it for the track's protocol
    DIR/crops, or DIR/images.txt
                        the crops, for a track that takes models; see `crops`
    DIR/left_out.npy    LFR19 only, where there is one: pairs of rows that count nowhere

    data = TrackData.open(DIR, track)                      # every fault of the organizer, now
    made = embed_all(data, run, work / "M.npy", name=sha256)
    report = score(track, data, made, verdict=verdict, sandbox=sandbox.enforced)

A model is known by a callable only: `run(pixels) -> (N, D)`, float32 (N, 3, 112, 112). It always
gets full batches, the last one filled up with copies of its last crop, so that no number depends
on how many crops there are; no crop is mirrored. A worker that is killed goes on where it was:
whole parts of the rows lie on the disk, each under its name only when it is complete. Two workers
at the same rows on one machine wait for each other.

A Report leaves here without examples of pairs and without labels of people: rows and labels of
the private data are nobody's but the organizer's, who has them from `tronie evaluate`.

Whose fault it is: what is wrong with the rows of a team is a BadRows, in words a team may read;
everything else is the organizer's or ours.

Letters: N crops or rows, D numbers in an embedding.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tronie import catalog
from tronie.data.readers.features import open_features, write_features
from tronie.errors import BadArray, BadInput, NotFound
from tronie.evaluation.embedding import one_row_each
from tronie.evaluation.pairs.scores import UNIT_WITHIN, Screen
from tronie.evaluation.pairs.sets import HowToRun
from tronie.evaluation.report import Report
from tronie.geometry.hypersphere import normalize
from tronie.runtime.pixels import network_input
from tronie.runtime.score_scan import open_screens
from tronie.server.challenge.behavior import INPUT
from tronie.server.challenge.checks import Verdict
from tronie.server.challenge.crops import Crops, open_crops
from tronie.server.challenge.measures import MEASURES, Matrix
from tronie.server.challenge.track import Track

META, LEFT_OUT = "META.csv", "left_out.npy"
BATCH = 32
PART_BATCHES = 32
"""Of rows that are written at once: what is lost when a worker is killed."""
PROTOCOLS = "tronie.evaluation.protocols"

_ROWS_AT_ONCE = 8192

Run = Callable[[NDArray[np.float32]], NDArray[Any]]
"""float32 (B, 3, 112, 112) to (B, D)."""

Progress = Callable[[int, int], None]
"""Called with (done, total) crops. What it raises ends the work; whole parts stay."""


class BadRows(BadArray):
    """The rows of a team cannot be scored; the sentence is for the team."""


@dataclass(frozen=True, eq=False, kw_only=True)
class TrackData:
    """What an organizer keeps behind a track, seen to be complete."""

    meta: Path
    rows: int
    """Lines of META, and rows of every matrix."""
    crops: Crops | None
    """None where a track takes features."""
    left_out: Path | None

    @staticmethod
    def open(folder: str | Path, track: Track) -> TrackData:
        """Read and check a folder; see the top.

        Raises:
            NotFound: the folder, META or the crops are not there.
            BadFile: a file is damaged, or the first or last crop is none.
            BadInput: META lacks rows that the track's score needs, or has another number of lines
                than there are crops; or pairs are to be left out where the protocol knows none.
            NotEnoughData: too few pairs for a rate that the track ranks by.
        """
        home = Path(folder)
        if not home.is_dir():
            raise NotFound(f"the data of {track.title} must lie in a folder; there is no {home}")
        measure = MEASURES[track.protocol]
        rows = measure.rows_of(home / META)
        left_out = home / LEFT_OUT if (home / LEFT_OUT).is_file() else None
        if left_out is not None and not measure.pairs_may_be_left_out:
            raise BadInput(
                f"{left_out} names pairs to be left out, which {track.protocol} knows nothing of; "
                "remove it"
            )
        crops = None
        if track.takes == "model":
            crops = open_crops(home)
            if crops.count != rows:
                raise BadInput(
                    f"each crop needs a line of META; {home} has {crops.count} crops and "
                    f"{home / META} has {rows} lines below its header"
                )
            for n in {0, rows - 1}:
                crops.crop(n)
        return TrackData(meta=home / META, rows=rows, crops=crops, left_out=left_out)


def embed_all(
    data: TrackData,
    run: Run,
    out: Path,
    *,
    name: str,
    batch: int = BATCH,
    progress: Progress | None = None,
) -> Path:
    """The embeddings of all crops as unit rows, an .npy (N, D) float32, in the order of META.

    Args:
        data: Of a track that takes models.
        run: The model.
        out: The .npy; beside it, until it is whole, lies the folder `out`.parts.
        name: Of the model, such as its SHA-256: parts of another model, other crops or another
            batch are thrown away.
        batch: B, always full.
        progress: Called before the first and after every batch.

    Returns:
        `out`. Where it is there already and belongs to no half-made run, it is made anew.

    Raises:
        BadRows: the model gave another shape, a number that is not finite, or a row of zeros.
        BadFile: a crop cannot be read.
        BadInput: the data are of a track that takes features, or a file cannot be written.
        Exception: whatever `run` and `progress` raise.
    """
    if data.crops is None or batch < 1:
        raise BadInput(f"embedding needs crops, and a batch of 1 or more; got {batch}")
    parts = _parts_of(out)
    told = hashlib.sha256(f"{name} {batch} {data.crops.sha256}".encode()).hexdigest()
    size = batch * PART_BATCHES
    try:
        with _alone(out.with_name(f"{out.name}.lock")):
            whole = _resumed(parts, told)
            dimension = None if not whole else open_features(whole[0]).shape[1]
            for first in range(len(whole) * size, data.rows, size):
                which = range(first, min(first + size, data.rows))
                rows = _part(data, run, which, batch=batch, dimension=dimension, told=progress)
                dimension = rows.shape[1]
                write_features(_part_file(parts, first // size), rows)
            if progress is not None and len(whole) * size >= data.rows:
                progress(data.rows, data.rows)
            _join(sorted(parts.glob("*.npy")), out, data.rows)
            shutil.rmtree(parts)
    except OSError as fault:
        raise BadInput(f"{out} cannot be written: {fault.strerror or fault}") from fault
    return out


def score(
    track: Track,
    data: TrackData,
    features: str | Path,
    *,
    verdict: Verdict | None = None,
    sandbox: Mapping[str, str] | None = None,
    threads: int | None = None,
    how: HowToRun = HowToRun(),  # noqa: B008 - frozen
) -> Report:
    """The Report of the track's protocol over a matrix.

    Args:
        track: Whose rules are asked for.
        data: Of that track.
        features: What `embed_all` made, or what a team sent: rows of any length but zero.
        verdict: Of the submission: limits that were measured go into the notes.
        sandbox: What was enforced while a model ran, by name, for the notes.
        threads: To search pairs with; all cores if None.
        how: Checkpoint, progress and seed of the comparison.

    Raises:
        BadRows: the matrix is damaged, has another number of rows than META, is too wide, or has a
            row that is not finite or is zero.
        TronieError: the organizer's files are no longer what they were.
    """
    lengths = check_rows_of(track, data, features)

    def screens(dimension: int, error: float) -> Sequence[Screen]:
        return open_screens(dimension, float32_error=error, threads=threads)

    report = MEASURES[track.protocol].run(
        Matrix(
            features=Path(features),
            meta=data.meta,
            left_out=data.left_out,
            lengths=lengths,
            screens=screens,
            how=how,
        )
    )
    notes = [*report.notes]
    if lengths == "any":
        notes.append("rows were not all of length 1, and all were normalized")
    if verdict is not None:
        notes += _limits_measured(verdict)
    if sandbox:
        told = "; ".join(f"{what}: {by}" for what, by in sandbox.items())
        notes.append(f"the model ran in a sandbox ({told})")
    details = replace(report.details, pairs=(), most_errors={})
    return replace(report, details=details, notes=tuple(notes))


def check_rows_of(track: Track, data: TrackData, features: str | Path) -> str:
    """See that a matrix can be scored; how its rows are to be taken: "unit" or "any".

    Raises:
        BadRows: it cannot; the sentence holds no path.
    """
    try:
        matrix = open_features(features)
    except BadInput as fault:
        raise BadRows(str(fault).replace(str(features), "the feature matrix")) from fault
    rows, dimension = matrix.shape
    if rows != data.rows:
        raise BadRows(
            f"the feature matrix must have {data.rows} rows, one for each line of the organizer's "
            f"list; got {rows}"
        )
    if dimension > track.limits.dimension:
        raise BadRows(
            f"an embedding of this track has at most {track.limits.dimension} numbers; got "
            f"{dimension}"
        )
    lengths = "unit"
    for top in range(0, rows, _ROWS_AT_ONCE):
        exact = matrix[top : top + _ROWS_AT_ONCE].astype(np.float64)
        squared = np.einsum("nd,nd->n", exact, exact)
        odd = np.flatnonzero(~(np.isfinite(squared) & (squared > 0)))
        if len(odd):
            what = "is all zeros" if squared[odd[0]] == 0 else "holds NaN or infinity"
            raise BadRows(f"row {top + int(odd[0])} of {rows} of the feature matrix {what}")
        if (np.abs(np.sqrt(squared) - 1) > UNIT_WITHIN).any():
            lengths = "any"
    return lengths


def protocol_version(track: Track) -> str:
    """Of the track's protocol as it is now: Reports of another version are scored again."""
    key = track.protocol
    version: str = catalog.load(PROTOCOLS, key, "PROTOCOL").version
    return version


def _part(
    data: TrackData,
    run: Run,
    which: range,
    *,
    batch: int,
    dimension: int | None,
    told: Progress | None,
) -> NDArray[np.float32]:
    """Unit rows of some crops."""
    assert data.crops is not None
    found: list[NDArray[np.float32]] = []
    for start in which[::batch]:
        if told is not None:
            told(start, data.rows)
        end = min(start + batch, which.stop)
        crops = data.crops.batch(start, end)
        filled = np.concatenate([crops, np.repeat(crops[-1:], batch - len(crops), axis=0)])
        made = np.asarray(run(network_input(filled, INPUT)))
        found.append(_rows(made, start, data.rows, size=batch, dimension=dimension)[: end - start])
        dimension = found[-1].shape[1]
    if told is not None:
        told(which.stop, data.rows)
    return np.concatenate(found)


def _rows(
    made: NDArray[Any], first: int, total: int, *, size: int, dimension: int | None
) -> NDArray[np.float32]:
    """What a model gave for a batch, at length 1."""
    names = [f"crop {first + n} of {total}" for n in range(size)]
    try:
        rows = one_row_each(made, names, dimension=dimension)
        return normalize(rows)[0]
    except BadArray as fault:
        raise BadRows(
            f"the model must give one finite row for each of {size} crops, and none of zeros; from "
            f"crop {first} of {total} on it did not: {fault}"
        ) from fault


def _resumed(parts: Path, told: str) -> list[Path]:
    """Parts of the same run, without a gap; the folder is made, and emptied of any other."""
    owner = parts / "run"
    if not owner.is_file() or owner.read_text(encoding="ascii") != told:
        shutil.rmtree(parts, ignore_errors=True)
        parts.mkdir()
        owner.write_text(told, encoding="ascii")
    found: list[Path] = []
    while (file := _part_file(parts, len(found))).is_file():
        found.append(file)
    return found


@contextmanager
def _alone(lock: Path) -> Iterator[None]:
    """Wait for any other process at the same rows; a lock ends with its process, however."""
    while True:
        with lock.open("ab") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            # Who had it removed it at the end: then another may have made a new one meanwhile.
            if lock.exists() and lock.stat().st_ino == os.fstat(file.fileno()).st_ino:
                try:
                    yield
                finally:
                    lock.unlink(missing_ok=True)
                return


def _parts_of(out: Path) -> Path:
    return out.with_name(f"{out.name}.parts")


def _part_file(parts: Path, number: int) -> Path:
    return parts / f"{number:08d}.npy"


def _join(files: list[Path], out: Path, rows: int) -> None:
    half = out.with_name(f"{out.name}.part")
    dimension = open_features(files[0]).shape[1]
    matrix = np.lib.format.open_memmap(half, mode="w+", dtype="<f4", shape=(rows, dimension))
    top = 0
    for file in files:
        part = open_features(file)
        matrix[top : top + len(part)] = part
        top += len(part)
    assert top == rows
    matrix.flush()
    half.replace(out)


def _limits_measured(verdict: Verdict) -> list[str]:
    return [
        f"{check.rule}: {check.measured} {check.unit}".rstrip() + f", of {check.limit} allowed"
        for check in verdict.checks
        if check.limit is not None and check.measured is not None
    ]
