"""LFW-type .bin files: encoded images two by two, and whether a pair shows one person.

    ([image 0, image 1, image 2, image 3, ...], [True, False, ...])

Pair k is images 2k and 2k + 1. LFW, CFP-FP, AgeDB-30, CALFW and CPLFW are handed round in this
form, which is a pickle, many written by Python 2. It is read by a machine that can call nothing
(`tronie.data.readers.restricted_pickle`): whatever else a file asks for is refused by name.

Source: the verification sets of InsightFace. Differs from its loader: no pickle is ever loaded.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tronie.data.readers.restricted_pickle import MAX_IMAGES, ArrayBytes, describe, read_pickle
from tronie.errors import BadFile, BadInput, NotFound

MAX_BYTES = 1 << 30
"""Of a file, which is read whole. LFW takes 65 MB, the largest of the known sets 120 MB."""


class LfwBin(NamedTuple):
    """The pairs of a file, in its order, which is that of the folds."""

    images: tuple[bytes, ...]
    """2P encoded images; pair k is images 2k and 2k + 1."""
    same: NDArray[np.bool_]
    """(P,): whether a pair shows one person."""


def read_lfw_bin(path: str | Path) -> LfwBin:
    """The images, not decoded, and the flags of a file.

    The images are RGB once they are decoded as any other; some scripts swap the colors.

    Raises:
        NotFound: there is no such file.
        BadFile: it is cut off, over the bounds, holds something else than images and flags, or
            asks for something to be called; the message says for what.
        BadInput: it may not be read.
    """
    file = Path(path)
    try:
        size = file.stat().st_size
        if size > MAX_BYTES:
            raise BadFile(f"{path} has {size} bytes; the limit is {MAX_BYTES}")
        data = file.read_bytes()
    except FileNotFoundError:
        raise NotFound(f"there is no file {path}") from None
    except OSError as error:
        raise BadInput(f"cannot read {path}: {error.strerror}") from error
    try:
        return _pairs(read_pickle(data))
    except ValueError as error:
        raise BadFile(f"{path} is no LFW-type .bin that can be read: {error}") from error


def _pairs(found: object) -> LfwBin:
    if not isinstance(found, tuple | list) or len(found) != 2:
        raise ValueError(f"it must hold images and flags, two lists; it holds {describe(found)}")
    images, flags = found
    if not isinstance(images, tuple | list) or not isinstance(flags, tuple | list):
        raise ValueError(
            f"it must hold a list of images and one of flags; "
            f"it holds {describe(images)} and {describe(flags)}"
        )
    if len(images) > MAX_IMAGES:
        raise ValueError(f"it holds {len(images)} images; the limit is {MAX_IMAGES}")
    if not flags or len(images) != 2 * len(flags):
        raise ValueError(
            f"{len(images)} images and {len(flags)} flags do not fit; a pair has two images "
            "and one flag"
        )
    for n, flag in enumerate(flags):
        if not isinstance(flag, bool):
            raise ValueError(f"flag {n} must be true or false; it is {describe(flag)}")
    return LfwBin(tuple(_image(image, n) for n, image in enumerate(images)), np.array(flags))


def _image(value: object, n: int) -> bytes:
    encoded = value.data if isinstance(value, ArrayBytes) else value
    if not isinstance(encoded, bytes) or not encoded:
        raise ValueError(f"image {n} must be encoded bytes; it is {describe(encoded)}")
    return encoded
