"""What a detector is trained on: photographs and where their faces are.

The labels are the first of these that is there, in the folder, else in a *.zip or *.tar of it:

    labels.txt, labelv2.txt, label.txt          in the forms of `tronie.data.readers.widerface`
    wider_face_train.mat, wider_face_val.mat    the official lists, without points

A photograph is where its name in the labels leads to, from the folder or from `images` in it; else
where a path below the folder, or within a packed file, ends in its name. Every one must be there,
and that is seen before anything is trained.

Faces without an area are left out, as they say nothing; points that are not known are marked.

Letters: F faces of one photograph.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path, PurePath

import numpy as np

from tronie.data.augment.face_photo import FaceLabels, faces_of, learnable
from tronie.data.readers.photo_files import PhotoFiles
from tronie.data.readers.text_lines import lines_of
from tronie.data.readers.widerface import LabeledPhoto, labels_of, read_faces, read_labels
from tronie.data.readers.widerface_photos import ORIGINAL_WIDTH
from tronie.errors import BadFile, BadImage, NotEnoughData, NotFound
from tronie.images.io import decode_image
from tronie.images.pixels import Pixels

TEXTS = ("labels.txt", "labelv2.txt", "label.txt")
LISTS = ("wider_face_train.mat", "wider_face_val.mat")
PACKED = (".zip", ".tar")

Size = tuple[int | None, int | None]
"""Width and height of a photograph in pixels; None: any."""


@dataclass(frozen=True, eq=False, kw_only=True)
class FaceSource:
    """Photographs and their faces, by number, from any number of threads."""

    names: tuple[str, ...]
    """What the labels call each photograph; no two are the same."""
    labels: tuple[FaceLabels, ...]
    sizes: tuple[Size | None, ...]
    """In which the faces are labeled; None: not told."""
    read: Callable[[int], bytes]
    """The encoded photograph of one number."""

    def __len__(self) -> int:
        return len(self.names)

    @property
    def faces_in_all(self) -> int:
        """Faces that can be learned from: not ignored, with an area within the photograph."""
        total = 0
        for labels, size in zip(self.labels, self.sizes, strict=True):
            width, height = (np.inf if side is None else side for side in size or (None, None))
            total += int(learnable(labels, width=width, height=height).sum())
        return total

    def name_of(self, n: int) -> str:
        """What the labels call a photograph."""
        return self.names[n]

    def faces(self, n: int) -> FaceLabels:
        """The faces of a photograph, in its pixels, F of them."""
        return self.labels[n]

    def size_of(self, n: int) -> Size | None:
        """Width and height that a photograph was labeled in, where that is told."""
        return self.sizes[n]

    def decoded(self, n: int) -> Pixels:
        """A photograph, (H, W, 3) uint8.

        Raises:
            BadImage: it cannot be decoded, or has another size than it was labeled in.
            BadInput: it cannot be read.
        """
        name, size = self.name_of(n), self.size_of(n)
        image = decode_image(self.read(n), name=name)
        found = (image.shape[1], image.shape[0])
        if size is not None and any(a not in (None, b) for a, b in zip(size, found, strict=True)):
            asked = " x ".join("any" if side is None else str(side) for side in size)
            raise BadImage(
                f"{name} has {found[0]} x {found[1]} pixels; its faces are labeled in {asked}. Put "
                "the photograph there that was labeled"
            )
        return image

    def part(self, numbers: Sequence[int]) -> FaceSource:
        """Some of the photographs, in the order of `numbers`."""
        read, chosen = self.read, tuple(numbers)
        return FaceSource(
            names=tuple(self.names[n] for n in chosen),
            labels=tuple(self.labels[n] for n in chosen),
            sizes=tuple(self.sizes[n] for n in chosen),
            read=lambda n: read(chosen[n]),
        )

    def fingerprint(self) -> str:
        """SHA-256 of the names and the labels, not of the pixels."""
        digest = hashlib.sha256("\0".join(self.names).encode("utf-8", "surrogateescape"))
        for labels in self.labels:
            digest.update(len(labels).to_bytes(8, "little"))
            digest.update(labels.boxes.astype("<f4").tobytes())
            digest.update(labels.points.astype("<f4").tobytes())
            digest.update(np.packbits(labels.ignore).tobytes())
            digest.update(np.packbits(labels.has_points).tobytes())
        return digest.hexdigest()


def open_faces(folder: str | Path, *, labels: str = "", closing: ExitStack) -> FaceSource:
    """The photographs of `folder` and their faces.

    Args:
        folder: Holds the photographs and their labels; or a packed file that does.
        labels: The file of labels, from `folder`; empty: what is found there.
        closing: What was opened is closed with it.

    Raises:
        NotFound: the folder, labels, or a photograph that they name is not there.
        BadFile: the labels break their format, name a photograph twice, or a file is damaged.
        NotEnoughData: the labels name no photograph.
    """
    root = Path(folder)
    if not root.exists():
        raise NotFound(f"there is no data folder {folder}")
    path, photos = _labeled(root, labels)
    if not photos:
        raise NotEnoughData(f"{path} names no photograph; training needs one or more")
    names = tuple(photo.name for photo in photos)
    if len(set(names)) < len(names):
        twice = next(name for n, name in enumerate(names) if name in names[:n])
        raise BadFile(f"{path} names the photograph {twice} twice; put its faces together")
    read = _finding(root, names, path, closing)
    official = Path(path).name in LISTS
    return FaceSource(
        names=names,
        labels=tuple(map(faces_of, photos)),
        sizes=tuple((ORIGINAL_WIDTH, None) if official else photo.size for photo in photos),
        read=lambda n: read(names[n]),
    )


def _labeled(root: Path, labels: str) -> tuple[str, list[LabeledPhoto]]:
    """What the labels are called, and what they say."""
    if root.is_dir():
        for name in (labels,) if labels else (*TEXTS, *LISTS):
            path = root / name
            if labels or path.is_file():
                return str(path), (read_faces if path.suffix == ".mat" else read_labels)(path)
    wanted = (labels,) if labels else TEXTS
    for packed in _packed(root):
        with PhotoFiles(packed, lambda path: path.name if path.name in wanted else None) as files:
            for name in wanted:
                if name in files.names():
                    where = f"{packed}/{name}"
                    return where, labels_of(lines_of(files.read(name), where=where), path=where)
    looked_for = labels or ", ".join((*TEXTS, *LISTS))
    raise NotFound(
        f"{root} holds no labels of faces: looked for {looked_for}, and for a *.zip or *.tar with "
        "one of the texts. Name the file with --set data.labels=FILE"
    )


def _packed(root: Path) -> list[Path]:
    if root.is_file():
        return [root]
    return sorted(path for path in root.iterdir() if path.suffix in PACKED)


def _finding(
    root: Path, names: tuple[str, ...], labels: str, closing: ExitStack
) -> Callable[[str], bytes]:
    """What reads a photograph by its name; each is there.

    Raises:
        NotFound: some are not.
    """
    known = set(names)

    def called(path: PurePath) -> str | None:
        parts = path.parts
        tails = ("/".join(parts[n:]) for n in range(len(parts)))
        return next((tail for tail in tails if tail in known), None)

    files = closing.enter_context(PhotoFiles(root, called))
    absent = sorted(known - set(files.names()))
    if absent:
        raise NotFound(
            f"{labels} names {len(names)} photographs, and {len(absent)} of them are not in "
            f"{root}, the first is {absent[0]}; they are looked for unpacked and in *.zip and *.tar"
        )
    return files.read
