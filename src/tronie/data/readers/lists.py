"""Lists as challenges publish them: images, pairs of images, and images of templates.

    images          IMAGE                           a path, which may hold spaces
    pairs           IMAGE IMAGE 0|1                 1: one person
    templates       TEMPLATE IMAGE                  one line an image of a template

Text, one entry a line. A line that holds a tab is parted at its tabs, so that a path may hold
spaces; any other is parted at its spaces. Paths are relative and do not leave the folder that
they are looked up in: one that begins with a slash, or has a part `..`, is refused. Empty
lines may only stand at the end. Labels beside the images of a list are not read; a table says
more (`tronie.data.readers.table`).

Source: the image lists of the ICCV 2019 Lightweight Face Recognition challenge hold one path
a line, one line a row of the submitted matrix.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tronie.data.readers.text_lines import read_lines
from tronie.errors import BadFile


class PairList(NamedTuple):
    """One row a pair, in the order of the file."""

    first: tuple[str, ...]
    second: tuple[str, ...]
    same: NDArray[np.bool_]
    """(P,): whether they show one person."""


def read_image_list(path: str | Path) -> tuple[str, ...]:
    """The images, in the order of the file; one may be there twice.

    Raises:
        NotFound: there is no such file.
        BadFile: a line is empty or holds no relative path, or there is no line.
    """
    return tuple(
        relative_path(line.strip(), where=f"{path}:{n}")
        for n, line in enumerate(_lines(Path(path), "IMAGE"), start=1)
    )


def read_pair_list(path: str | Path) -> PairList:
    """The pairs, in the order of the file.

    Raises:
        NotFound: there is no such file.
        BadFile: a line breaks the form, or there is none.
    """
    form = "IMAGE IMAGE 0|1"
    first, second, same = [], [], []
    for n, line in enumerate(_lines(Path(path), form), start=1):
        fields = _fields(line, form, where=f"{path}:{n}")
        if fields[2] not in ("0", "1"):
            raise BadFile(
                f"{path}:{n}: a pair ends in 1 (one person) or 0 (two); got {fields[2]!r}"
            )
        first.append(relative_path(fields[0], where=f"{path}:{n}"))
        second.append(relative_path(fields[1], where=f"{path}:{n}"))
        same.append(fields[2] == "1")
    return PairList(tuple(first), tuple(second), np.array(same, np.bool_))


def read_template_list(path: str | Path) -> Mapping[str, tuple[str, ...]]:
    """A template to its images, both in the order in which the file first names them.

    Raises:
        NotFound: there is no such file.
        BadFile: a line breaks the form, an image is in one template twice, or there is no line.
    """
    form = "TEMPLATE IMAGE"
    templates: dict[str, dict[str, None]] = {}
    for n, line in enumerate(_lines(Path(path), form), start=1):
        name, image = _fields(line, form, where=f"{path}:{n}")
        images = templates.setdefault(name, {})
        if image in images:
            raise BadFile(f"{path}:{n}: {image} is in template {name} twice")
        images[relative_path(image, where=f"{path}:{n}")] = None
    return {name: tuple(images) for name, images in templates.items()}


def relative_path(image: str, *, where: str) -> str:
    """The path of an image as a file names it, if it stays below the folder of the images.

    Raises:
        BadFile: it is empty, absolute, has a part `..` or holds a NUL; the message begins with
            `where`.
    """
    if not image:
        raise BadFile(f"{where}: is empty; each line is the path of an image")
    if image.startswith("/") or "\0" in image or (".." in image and ".." in image.split("/")):
        raise BadFile(f"{where}: must hold a path below the folder of the images; got {image!r}")
    return image


def _lines(path: Path, form: str) -> list[str]:
    lines = read_lines(path)
    while lines and not lines[-1].strip():
        lines.pop()
    if not lines:
        raise BadFile(f"{path} is empty; each line must read '{form}'")
    return lines


def _fields(line: str, form: str, *, where: str) -> list[str]:
    fields = [field.strip() for field in line.split("\t")] if "\t" in line else line.split()
    if len(fields) != len(form.split()) or not all(fields):
        raise BadFile(f"{where}: must read '{form}'; got {line!r}")
    return fields
