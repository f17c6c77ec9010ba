"""One folder per identity: photographs on disk, and whose they are.

    people/Ada/a.jpg                people/Ada_0001.jpg
    people/Ada/b.jpg                people/Ada_0002.jpg
    people/Bo/c.jpg                 people/Bo_0001.jpg

Both forms are read, and may be mixed. The folder that holds a photograph names the person;
only where a photograph was handed in by itself, or lies directly in a folder that was
handed in, does its own name count. Hidden files and folders (a leading dot) are skipped,
links to folders are not followed. A person's name is kept as written, in Unicode form NFC,
so that one name typed on two systems is one person.
"""

from __future__ import annotations

import glob
import os
import re
import unicodedata
from collections.abc import Iterable, Sequence
from pathlib import Path

from tronie.errors import BadInput, NotFound
from tronie.images.io import IMAGE_SUFFIXES

CAMERA_NAMES = frozenset(
    {"_dsc", "_mg", "cimg", "dsc", "dscf", "dscn", "gopr", "image", "img", "mvi"}
    | {"pano", "photo", "pict", "pxl", "scan", "screenshot", "vid"}
)
"""What cameras write before a number: IMG_0001.jpg is no portrait of somebody called IMG."""

_NUMBERED = re.compile(r"(?P<name>.+)_\d{4}")


def list_images(paths: Iterable[str | Path]) -> list[Path]:
    """The photographs that `paths` name, each once.

    Args:
        paths: Files (taken whatever their suffix), folders (searched to the bottom, in the
            order of their names) and glob patterns such as `photos/**/*.jpg`.

    Returns:
        Paths in the order asked for, sorted within each folder and pattern.

    Raises:
        NotFound: a path is not there, or a folder or pattern holds no photograph.
        BadInput: a folder may not be read.
    """
    found: dict[Path, None] = {}
    for path in _expand(paths):
        found.update(dict.fromkeys(_images_below(path) if path.is_dir() else [path]))
    return list(found)


def identities(paths: Iterable[str | Path]) -> list[tuple[str, Path]]:
    """Each photograph that `paths` name, with the person it shows.

    Takes what `list_images` takes. A photograph below a folder that was handed in belongs
    to the person its own folder is named after. One that was handed in by itself must be
    called NAME_0001.jpg. A folder handed in may hold photographs directly: then either all
    are called NAME_0001.jpg, or none is and the folder is one person's.

    Returns:
        (name, path), in the order of `list_images`.

    Raises:
        NotFound: as `list_images`.
        BadInput: a folder may not be read, or it cannot be told whose a photograph is.
    """
    found: dict[Path, str] = {}
    for path in _expand(paths):
        named = _people_below(path) if path.is_dir() else [(_name_of_file(path), path)]
        for name, photo in named:
            found.setdefault(photo, unicodedata.normalize("NFC", name))
    return [(name, photo) for photo, name in found.items()]


def _expand(paths: Iterable[str | Path]) -> list[Path]:
    expanded: list[Path] = []
    for path in paths:
        if Path(path).exists():
            expanded.append(Path(path))
        elif glob.has_magic(str(path)):
            expanded += _match(str(path))
        else:
            raise NotFound(f"{path} is not there; give a photograph, a folder or a pattern")
    return expanded


def _match(pattern: str) -> list[Path]:
    # Path.glob knows no absolute patterns.
    matched = [Path(match) for match in sorted(glob.glob(pattern, recursive=True))]  # noqa: PTH207
    files = [path for path in matched if path.is_file() and _is_image(path.name)]
    if files:
        return files  # "people/**" also matches the folders of these files
    folders = [path for path in matched if path.is_dir()]
    if not folders:
        raise NotFound(f"no photograph matches {pattern}")
    return folders


def _images_below(root: Path) -> list[Path]:
    found: list[Path] = []
    for folder, subfolders, files in os.walk(root, onerror=_refuse_unreadable):
        subfolders[:] = sorted(name for name in subfolders if not name.startswith("."))
        found += [Path(folder, name) for name in files if _is_image(name)]
    if not found:
        kinds = " ".join(sorted(IMAGE_SUFFIXES))
        raise NotFound(f"the folder {root} holds no photograph (looked for {kinds})")
    return sorted(found, key=lambda path: path.parts)


def _refuse_unreadable(error: OSError) -> None:
    raise BadInput(f"cannot read the folder {error.filename}: {error.strerror}") from error


def _is_image(name: str) -> bool:
    return not name.startswith(".") and Path(name).suffix.lower() in IMAGE_SUFFIXES


def _people_below(root: Path) -> list[tuple[str, Path]]:
    photos = _images_below(root)
    loose = [photo for photo in photos if photo.parent == root]
    folders = {photo.parent for photo in photos} - {root}
    _refuse_nested(folders)
    whose = _names_of_loose(root, loose, alone=not folders)
    return [(whose.get(photo) or photo.parent.name, photo) for photo in photos]


def _refuse_nested(folders: set[Path]) -> None:
    for folder in sorted(folders):
        holder = next((parent for parent in folder.parents if parent in folders), None)
        if holder is not None:
            raise BadInput(
                f"the folder {holder} holds photographs and also the folder {folder.name}: "
                "one person or several? Give each person one folder"
            )


def _names_of_loose(root: Path, loose: Sequence[Path], *, alone: bool) -> dict[Path, str]:
    names = {photo: _numbered_name(photo) for photo in loose}
    if alone and loose and not any(names.values()):
        return dict.fromkeys(loose, root.resolve().name)
    return {photo: name or _name_of_file(photo) for photo, name in names.items()}


def _name_of_file(photo: Path) -> str:
    name = _numbered_name(photo)
    if name is None:
        raise BadInput(
            f"cannot tell who is on {photo}: name it NAME_0001{photo.suffix}, "
            "or put it into a folder named after the person and give the folder"
        )
    return name


def _numbered_name(photo: Path) -> str | None:
    match = _NUMBERED.fullmatch(photo.stem)
    if match is None or match["name"].lower() in CAMERA_NAMES:
        return None
    return match["name"]
