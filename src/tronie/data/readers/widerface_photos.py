"""Photographs of WIDER FACE: EVENT/PHOTO.jpg below a folder, or in *.zip and *.tar files there.

Every original is 1,024 pixels wide, and the ground truth is in its pixels: a photograph of
another width was resized, and its faces lie elsewhere. `is_original` tells.
"""

from __future__ import annotations

from collections.abc import Container
from pathlib import Path, PurePath

from tronie.data.readers.photo_files import PhotoFiles
from tronie.errors import NotFound

SUFFIX = ".jpg"
ORIGINAL_WIDTH = 1024


class WiderPhotos(PhotoFiles):
    """The photographs that are there, of those that are wanted, each called EVENT/PHOTO.

    Use as a context manager, or call `close`.

    Raises:
        NotFound: the folder is not there, or holds none of the photographs.
        BadFile: a packed file is damaged.
    """

    def __init__(self, data_dir: str | Path, wanted: Container[str]) -> None:
        def called(path: PurePath) -> str | None:
            name = f"{path.parent.name}/{path.stem}"
            return name if path.suffix == SUFFIX and name in wanted else None

        if not Path(data_dir).is_dir():
            raise NotFound(f"the WIDER FACE folder {data_dir} is not there")
        super().__init__(data_dir, called)
        if not self.names():
            self.close()
            raise NotFound(
                f"{data_dir} holds no photograph EVENT/PHOTO.jpg of the ground truth, neither"
                " unpacked nor in a *.zip or *.tar"
            )


def is_original(photo: bytes) -> bool:
    """Whether an encoded JPEG is as wide as the originals; False for what is no JPEG."""
    at = 2
    while photo[:2] == b"\xff\xd8" and photo[at : at + 1] == b"\xff":
        marker, length = photo[at + 1], int.from_bytes(photo[at + 2 : at + 4], "big")
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            return int.from_bytes(photo[at + 7 : at + 9], "big") == ORIGINAL_WIDTH
        at += 1 if marker == 0xFF else 2 + length
    return False
