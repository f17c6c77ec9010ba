"""Threads: how many OpenCV may use for one resize.

OpenCV keeps a pool of its own beside that of the inference engine. The number is one for
the whole process, so no function here changes it on the way; a program that promises a
number of threads calls this once when it starts. It changes times, never pixels.
"""

from __future__ import annotations

import cv2

from tronie.errors import BadInput


def set_opencv_threads(count: int) -> None:
    """Let OpenCV use `count` threads, in the whole process, from now on.

    Raises:
        BadInput: `count` is below 1.
    """
    if count < 1:
        raise BadInput(f"OpenCV needs at least 1 thread; asked for {count}")
    cv2.setNumThreads(count)
