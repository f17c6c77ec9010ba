"""tronie: find, align, embed and compare faces, and say how often the answer is wrong.

The names most people need, loaded on first use: `import tronie` costs a few milliseconds
and imports neither numpy nor an inference engine.

    >>> from tronie import FaceAnalyzer, read_image
    >>> faces = FaceAnalyzer().analyze(read_image("A.jpg"))     # doctest: +SKIP

The imports under TYPE_CHECKING hide no circle, since nothing inside the package imports its
top: they let a type checker see what `__getattr__` returns.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tronie.errors import TronieError
    from tronie.gallery.store import Gallery
    from tronie.geometry.faces import Faces
    from tronie.images.io import read_image
    from tronie.images.warp import aligned_crops
    from tronie.runtime.pipeline import FaceAnalyzer
    from tronie.runtime.verification import Verification, verify

    __version__: str

__all__ = [
    "FaceAnalyzer",
    "Faces",
    "Gallery",
    "TronieError",
    "Verification",
    "aligned_crops",
    "read_image",
    "verify",
]

_HOMES = {
    "FaceAnalyzer": "tronie.runtime.pipeline",
    "Faces": "tronie.geometry.faces",
    "Gallery": "tronie.gallery.store",
    "TronieError": "tronie.errors",
    "Verification": "tronie.runtime.verification",
    "aligned_crops": "tronie.images.warp",
    "read_image": "tronie.images.io",
    "verify": "tronie.runtime.verification",
}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        metadata = importlib.import_module("importlib.metadata")
        return metadata.version("tronie")
    if name not in _HOMES:
        raise AttributeError(f"tronie has no name {name!r}; it holds: {', '.join(__all__)}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__, "__version__"])
