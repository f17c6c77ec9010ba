"""Every error this package raises on purpose, as one tree.

    TronieError
    ├── BadInput            what was handed in cannot be used
    │   ├── BadArray        a shape, a dtype, or NaN where there must be none
    │   ├── BadImage        bytes that are no picture we read
    │   ├── BadFile         a list, pairs or calibration file that breaks its format
    │   └── BadModel        a model file that does not keep its contract
    ├── NotFound            a name, a file or a person that is not there
    ├── NotEnoughData       too few pairs for the rate that was asked for
    ├── NoFace              a photograph without a face that can be used
    ├── EngineUnavailable   an engine, a device or a precision this machine does not have
    ├── ZooError            a model that could not be fetched
    │   ├── HashMismatch    the bytes are not the ones that were promised
    │   └── LicenseNotAccepted
    └── GalleryError        a gallery that cannot be opened, read or written
        ├── GalleryMismatch made with another model
        └── GalleryLocked   in use by another process

Every message says what was asked, what was found and what to do, in one sentence. What
would be our own bug stays an AssertionError; what a user can cause is always one of these.
`exit_code` is what the command line returns: 2 for misuse, 3 where no face was found.
"""

from __future__ import annotations


class TronieError(Exception):
    """Root of the tree: catch this to catch everything tronie raises on purpose."""

    exit_code: int = 2


class BadInput(TronieError):
    """What was handed in cannot be used."""


class BadArray(BadInput):
    """An array of the wrong shape or dtype, or one that holds NaN."""


class BadImage(BadInput):
    """Bytes that are no picture, a damaged picture, or one over the pixel limit."""


class BadFile(BadInput):
    """A text or JSON file that breaks its format; the message names the line."""


class BadModel(BadInput):
    """A model file that does not keep its contract."""


class NotFound(TronieError):
    """A name, a file or a person that is not there."""


class NotEnoughData(TronieError):
    """Too few pairs for the rate that was asked for."""


class NoFace(TronieError):
    """A photograph without a face that can be used."""

    exit_code = 3


class EngineUnavailable(TronieError):
    """An engine, a device or a precision that this machine or installation lacks."""


class ZooError(TronieError):
    """A model that could not be fetched, prepared or kept."""


class HashMismatch(ZooError):
    """The bytes that arrived are not the bytes that were promised."""


class LicenseNotAccepted(ZooError):
    """Weights whose licence restricts their use, and nobody has accepted it yet."""


class GalleryError(TronieError):
    """A gallery that cannot be opened, read or written."""


class GalleryMismatch(GalleryError):
    """A gallery that was made with another model, detector or alignment."""


class GalleryLocked(GalleryError):
    """A gallery that another process holds."""
