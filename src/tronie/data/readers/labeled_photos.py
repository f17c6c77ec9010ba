"""Photographs and the faces labeled in them: a folder with a labelv2 file.

The labels are the first of labels.txt, labelv2.txt and label.txt that is in the folder, in the
forms of `tronie.data.readers.widerface`. A photograph is where a path below the folder, or within
a *.zip or *.tar there, ends in its name; every one must be there.
"""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path, PurePath
from typing import NamedTuple

from tronie.data.readers.photo_files import PhotoFiles
from tronie.data.readers.widerface import LabeledPhoto, read_labels
from tronie.errors import NotFound

LABELS = ("labels.txt", "labelv2.txt", "label.txt")


class LabeledPhotos(NamedTuple):
    """What a folder holds."""

    labels: Path
    photos: tuple[LabeledPhoto, ...]
    files: PhotoFiles
    """To be read by the photographs' names."""


def open_labeled_photos(folder: str | Path, *, closing: ExitStack) -> LabeledPhotos:
    """The labels of `folder`, and its photographs open.

    Args:
        folder: Holds both.
        closing: What was opened is closed with it.

    Raises:
        NotFound: the folder, its labels, or a photograph that they name is not there.
        BadFile: a label breaks the form, or a packed file is damaged.
    """
    root = Path(folder)
    labels = next((root / name for name in LABELS if (root / name).is_file()), None)
    if labels is None:
        raise NotFound(f"{folder} holds no labels of faces; looked for {', '.join(LABELS)}")
    photos = tuple(read_labels(labels))
    wanted = {photo.name for photo in photos}

    def called(path: PurePath) -> str | None:
        tails = ("/".join(path.parts[n:]) for n in range(len(path.parts)))
        return next((tail for tail in tails if tail in wanted), None)

    files = closing.enter_context(PhotoFiles(root, called))
    if absent := wanted - set(files.names()):
        raise NotFound(
            f"{labels} names {len(wanted)} photographs, and {len(absent)} of them are not in "
            f"{folder}; the first is {min(absent)}"
        )
    return LabeledPhotos(labels, photos, files)
