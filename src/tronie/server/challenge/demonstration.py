"""Private data for the demonstration track, made from a folder of somebody's photographs.

    photos/Ada/1.jpg  photos/Ada/2.jpg  photos/Bo/1.jpg ...

    out/META.csv      name,subject
    out/crops         the crops, packed

Without `align`, pictures must be aligned crops of 112 x 112 pixels already, and their bytes are
kept as they are. With it, every photograph is aligned and stored as PNG; those without a face are
left out. Names of people become labels in META, which a team never sees.
"""

from __future__ import annotations

import csv
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tronie.data.pack import Encoded, write_shards
from tronie.data.readers.image_folder import identities
from tronie.errors import BadArray, BadInput, NotEnoughData
from tronie.images.io import decode_image, encode_image
from tronie.server.challenge.crops import PACKED, SIDE
from tronie.server.challenge.scoring import META, TrackData
from tronie.server.challenge.track import open_track

TRACK = "demonstration-faces"

Align = Callable[[bytes], NDArray[np.uint8] | None]
"""One encoded photograph to its crop (112, 112, 3) uint8 RGB; None where no face was found."""


def make_demonstration(
    photos: str | Path, out: str | Path, *, align: Align | None = None
) -> TrackData:
    """Make the folder of a demonstration track's private data, and open it.

    Args:
        photos: A folder with one folder a person.
        out: The folder to be made; it must not be there, or be empty. It appears when all is
            done and checked.
        align: For photographs; None where they are aligned crops.

    Raises:
        NotFound: the folder is not there, or holds no picture.
        BadInput: it cannot be told who is on a picture, a picture is no crop and `align` was not
            given, `align` returned something else, or `out` is there or cannot be written.
        BadImage: a picture is damaged.
        NotEnoughData: too few pictures for an FAR of 1e-3, or too few people with two of them.
    """
    home = Path(out)
    if home.exists() and (not home.is_dir() or any(home.iterdir())):
        raise BadInput(f"{home} is there; name another folder for the demonstration, or remove it")
    named = identities([photos])
    part = home.with_name(f"{home.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    try:
        part.mkdir(parents=True)
        kept: list[tuple[str, str]] = []
        write_shards(_crops(named, align, kept), part / PACKED)
        with (part / META).open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerows([("name", "subject"), *kept])
        try:
            TrackData.open(part, open_track(TRACK))
        except NotEnoughData as fault:
            raise NotEnoughData(
                f"{len(kept)} of {len(named)} pictures in {photos} are too few for a "
                f"demonstration, which needs about fifty, some of the same people: {fault}"
            ) from fault
        if home.is_dir():
            home.rmdir()
        part.rename(home)
    except OSError as fault:
        raise BadInput(f"cannot write {home}: {fault.strerror or fault}") from fault
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return TrackData.open(home, open_track(TRACK))


def _crops(
    named: list[tuple[str, Path]], align: Align | None, kept: list[tuple[str, str]]
) -> Iterator[Encoded]:
    """One crop a picture; (name, person) of each is added to `kept`."""
    for number, (person, file) in enumerate(named):
        data = file.read_bytes()
        if align is None:
            shape = decode_image(data, name=str(file)).shape
            if shape != (SIDE, SIDE, 3):
                raise BadInput(
                    f"{file} has {shape[1]} x {shape[0]} pixels and is no aligned crop of {SIDE} x "
                    f"{SIDE}; align the photographs"
                )
        else:
            crop = align(data)
            if crop is None:
                continue
            if crop.shape != (SIDE, SIDE, 3) or crop.dtype != np.uint8:
                raise BadArray(
                    f"align must return uint8 ({SIDE}, {SIDE}, 3) or None; for {file} it gave "
                    f"{crop.dtype} of shape {crop.shape}"
                )
            data = encode_image(crop, ".png")
        kept.append((f"{number:06d}", person))
        yield Encoded(person, str(file), data)
