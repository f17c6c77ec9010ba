"""What the words PHOTO... stand for: files, folders, patterns, and - for standard input."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from tronie.cli.terminal import error_code, print_json, say
from tronie.data.readers.image_folder import list_images
from tronie.errors import BadInput, TronieError

MAX_BYTES = 500_000_000
"""What is read of one photograph into memory here; standard input may hold no more."""
LONGEST_STEM_BYTES = 200


class Photo(NamedTuple):
    """One photograph to be read: how it is called, and where it is."""

    label: str
    source: Path | bytes

    @property
    def name(self) -> str:
        """The file's name without its folders."""
        return self.label if isinstance(self.source, bytes) else self.source.name

    @property
    def stem(self) -> str:
        """What files made from it are called: no folders, no suffix, short enough."""
        if isinstance(self.source, bytes):
            return "stdin"
        return os.fsdecode(os.fsencode(self.source.stem)[:LONGEST_STEM_BYTES])


class Targets:
    """Names for files made from photographs: no two alike, and none over a photograph."""

    def __init__(self, folder: Path, photos: Sequence[Photo]) -> None:
        self._folder = folder
        self._taken: set[str] = set()
        here = folder.resolve()
        sources = [photo.source for photo in photos if isinstance(photo.source, Path)]
        parents = {parent: parent.resolve() for parent in {source.parent for source in sources}}
        self._guarded = {source.name for source in sources if parents[source.parent] == here}

    def stem(self, photo: Photo) -> str:
        """The photograph's stem, or with a number where another photograph has it already."""
        stem, n = photo.stem, 2
        while stem in self._taken:
            stem, n = f"{photo.stem}-{n}", n + 1
        self._taken.add(stem)
        return stem

    def file(self, name: str) -> Path:
        """The path of a file to be written.

        Raises:
            BadInput: it is one of the photographs.
        """
        if name in self._guarded:
            raise BadInput(
                f"{self._folder / name} is one of the photographs, and is not written over; "
                "choose another folder"
            )
        return self._folder / name


def photographs(words: Sequence[str]) -> list[Photo]:
    """Every photograph the words name, in order.

    Raises:
        NotFound: a word that names nothing, or a folder without photographs.
        BadInput: a folder that may not be read; standard input is empty, too long, or named
            twice.
    """
    check_words(words)
    found: list[Photo] = []
    for word in words:
        if word == "-":
            found.append(Photo("-", _standard_input()))
        else:
            found += [Photo(str(path), path) for path in list_images([word])]
    return found


def check_words(words: Sequence[str]) -> None:
    """Refuse words that can only be a slip.

    Raises:
        BadInput: a word is empty, or - is among them more than once.
    """
    if not all(words):
        raise BadInput("an empty word names no photograph; was a variable not set?")
    if words.count("-") > 1:
        raise BadInput("standard input can be read once; - was given twice")


def fault_sentence(photo: Photo, fault: TronieError) -> str:
    """Why a photograph could not be used, with its name."""
    name = "standard input" if photo.label == "-" else photo.label
    text = str(fault)
    if isinstance(photo.source, bytes) and text.startswith("'image' "):  # its bytes have no name
        text = f"{name} " + text.removeprefix("'image' ")
    return text if name in text else f"{name}: {text}"


def tell_fault(photo: Photo, fault: TronieError, *, json: bool) -> None:
    """A photograph that could not be used: a sentence on stderr, and with `json` a line too."""
    text = fault_sentence(photo, fault)
    if json:
        print_json({"file": photo.label, "error": {"code": error_code(fault), "message": text}})
    say(text)


def _standard_input() -> bytes:
    data = b"" if sys.stdin is None else sys.stdin.buffer.read(MAX_BYTES + 1)
    if not data or len(data) > MAX_BYTES:
        raise BadInput(
            f"standard input must hold one picture of at most {MAX_BYTES} bytes; "
            f"got {'nothing' if not data else 'more'}"
        )
    return data
