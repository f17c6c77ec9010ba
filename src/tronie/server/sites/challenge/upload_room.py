"""How many uploads are taken at once: a few of all teams, two of one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

from tronie.server.http import Refused

OF_ONE_TEAM = 2


class UploadRoom:
    """Counts uploads that are on their way, in this process."""

    def __init__(self, most: int = 8) -> None:
        self._most = most
        self._open: Counter[str] = Counter()
        self._lock = Lock()

    @contextmanager
    def one(self, organization_id: str) -> Iterator[None]:
        """Take the room of one upload.

        Raises:
            Refused: there is none left.
        """
        with self._lock:
            if self._open[organization_id] >= OF_ONE_TEAM:
                raise Refused(
                    429,
                    "upload_under_way",
                    f"{OF_ONE_TEAM} uploads of your organization are under way; wait until one "
                    "is done",
                    headers={"Retry-After": "60"},
                )
            if self._open.total() >= self._most:
                raise Refused(
                    503,
                    "busy",
                    f"{self._most} uploads are under way, which is all that this server takes at "
                    "once; try again in a minute",
                    headers={"Retry-After": "60"},
                )
            self._open[organization_id] += 1
        try:
            yield
        finally:
            with self._lock:
                self._open[organization_id] -= 1
                self._open += Counter()
