"""What is trained on: encoded images and whose they are, from a folder, an archive or shards.

    source.labels        (N,) int64, class of each image, 0 to C - 1 without holes
    source.classes       C names: of the folder, of the people list, or the number in the archive
    source.read(n)       the encoded image
    source.name_of(n)    what an error calls it

Labels of an archive may have holes; classes are numbered anew in the order of the old numbers,
which stay as names. What a source holds is known by `fingerprint`, so that a run that goes on
can tell that its data are still those it began with.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tronie.data.readers.image_folder import identities
from tronie.data.readers.lfw import read_people
from tronie.data.readers.recordio import RecordArchive
from tronie.data.readers.shards import ABOUT, Shards
from tronie.errors import BadFile, BadInput, NotEnoughData, NotFound
from tronie.lab.training.recipe import Data

MOST_LABEL = 1 << 53
"""A label from here on is a damaged record, and no class."""

ARCHIVE = "train.rec"
"""What an archive is called in a folder, as InsightFace's data sets have it."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Source:
    """Images that can be read by number, from any number of threads."""

    labels: NDArray[np.int64]
    """(N,), from 0 to C - 1, each of them there."""
    classes: tuple[str, ...]
    """Names of the C classes."""
    read: Callable[[int], bytes]
    """The encoded image of one number."""
    name_of: Callable[[int], str]
    """What to call it in an error."""
    form: str
    """folder, recordio or shards."""

    def __len__(self) -> int:
        return len(self.labels)

    def fingerprint(self) -> str:
        """SHA-256 of the labels and the names of the classes, not of the pixels."""
        digest = hashlib.sha256(self.labels.astype("<i8").tobytes())
        digest.update("\0".join(self.classes).encode("utf-8", "surrogateescape"))
        return digest.hexdigest()


def open_source(folder: str | Path, data: Data, *, closing: ExitStack) -> Source:
    """The images of `folder` that a recipe asks for.

    Args:
        folder: One folder per identity, a RecordIO archive or the folder it is in, or shards.
        data: Which form it must have, which people are wanted, and how many images of each.
        closing: What was opened is closed with it.

    Raises:
        NotFound: the folder, its archive or its list of people is not there.
        BadInput: it holds more than one form and none was asked for.
        BadFile: an archive, shards or a list is damaged.
        NotEnoughData: fewer than two identities are left.
    """
    root = Path(folder)
    if not root.exists():
        raise NotFound(f"there is no data folder {folder}")
    form = data.form if data.form != "found" else _form_of(root)
    wanted = frozenset(read_people(root / data.people)) if data.people else None
    source = _OPENERS[form](root, closing)
    return _chosen(source, wanted, least=data.min_images, where=str(folder))


def _form_of(root: Path) -> str:
    """What a path holds, by the files that each form must have."""
    if root.is_file():
        return "recordio"
    found = []
    if (root / ARCHIVE).is_file():
        found.append("recordio")
    if (root / ABOUT).is_file():
        found.append("shards")
    if len(found) > 1:
        raise BadInput(
            f"{root} holds {' and '.join(found)}; say which with --set data.form={found[0]}"
        )
    if not found and (left := sorted(path.name for path in root.glob("shard-*.bin"))):
        raise BadInput(
            f"{root} holds shards, such as {left[0]}, and no {ABOUT} that tells of them; copy it "
            "again"
        )
    return found[0] if found else "folder"


def _open_folder(root: Path, closing: ExitStack) -> Source:
    named = identities([root])
    classes, labels = _numbered([name for name, _ in named])
    paths = [path for _, path in named]
    return Source(
        labels=labels,
        classes=classes,
        read=lambda n: _file_bytes(paths[n]),
        name_of=lambda n: str(paths[n]),
        form="folder",
    )


def _open_archive(root: Path, closing: ExitStack) -> Source:
    path = root if root.is_file() else root / ARCHIVE
    archive = closing.enter_context(RecordArchive(path))
    keys, numbers = _archive_labels(archive, path)
    found, labels = np.unique(numbers, return_inverse=True)
    return Source(
        labels=labels.astype(np.int64),
        classes=tuple(map(str, found.tolist())),
        read=lambda n: archive.read(int(keys[n])).payload,
        name_of=lambda n: f"record {keys[n]} of {path}",
        form="recordio",
    )


def _open_shards(root: Path, closing: ExitStack) -> Source:
    shards = closing.enter_context(Shards(root))
    found, labels = np.unique(shards.labels, return_inverse=True)
    return Source(
        labels=labels.astype(np.int64),
        classes=tuple(shards.classes[n] for n in found.tolist()),
        read=shards.read,
        name_of=lambda n: f"image {n} of {root}",
        form="shards",
    )


_OPENERS: dict[str, Callable[[Path, ExitStack], Source]] = {
    "folder": _open_folder,
    "recordio": _open_archive,
    "shards": _open_shards,
}


def _archive_labels(
    archive: RecordArchive, path: Path
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Keys of the images and whose they are, (N,) each.

    Where the archive lists its identities, one image of each is read for its label, else all.
    """
    keys = archive.images()
    spans = archive.identities()
    if not len(spans):
        labels = [_whole_label(archive, key, path) for key in keys.tolist()]
        return keys, np.array(labels, np.int64)
    spans = spans[spans[:, 1] > spans[:, 0]]
    listed = [np.arange(first, end) for first, end in spans.tolist()]
    labels = [_whole_label(archive, first, path) for first in spans[:, 0].tolist()]
    return np.concatenate(listed), np.repeat(np.array(labels, np.int64), spans[:, 1] - spans[:, 0])


def _whole_label(archive: RecordArchive, key: int, path: Path) -> int:
    label = archive.read(key).label
    if not label or not label[0].is_integer() or not 0 <= label[0] < MOST_LABEL:
        raise BadFile(
            f"{path}: record {key} must be labeled with a whole number below 2**53; got {label[:2]}"
        )
    return int(label[0])


def _chosen(source: Source, wanted: frozenset[str] | None, *, least: int, where: str) -> Source:
    """The images of the wanted people who have enough of them, classes numbered anew."""
    counts = np.bincount(source.labels, minlength=len(source.classes))
    takes = counts >= least
    if wanted is not None:
        takes &= np.array([name in wanted for name in source.classes], np.bool_)
    if int(takes.sum()) < 2:
        raise NotEnoughData(
            f"training needs at least two identities; {where} has {int(takes.sum())} with "
            f"{least} or more images"
            + (" among the people listed" if wanted is not None else "")
            + f", of {len(source.classes)} in all"
        )
    if takes.all():
        return source
    kept = np.flatnonzero(takes[source.labels])
    numbers = np.cumsum(takes) - 1
    return Source(
        labels=numbers[source.labels[kept]],
        classes=tuple(n for n, taken in zip(source.classes, takes, strict=True) if taken),
        read=lambda n: source.read(int(kept[n])),
        name_of=lambda n: source.name_of(int(kept[n])),
        form=source.form,
    )


def _numbered(names: Sequence[str]) -> tuple[tuple[str, ...], NDArray[np.int64]]:
    classes = tuple(sorted(set(names)))
    number = {name: n for n, name in enumerate(classes)}
    return classes, np.array([number[name] for name in names], np.int64)


def _file_bytes(path: Path) -> bytes:
    if path.exists() and not path.is_file():  # opening a pipe would wait for its writer
        raise BadInput(f"{path} is no plain file but a pipe, a folder or a device; move it away")
    try:
        return path.read_bytes()
    except OSError as error:
        raise BadInput(f"cannot read {path}: {error.strerror}") from error
