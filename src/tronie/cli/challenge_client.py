"""Speak to a challenge's API: send a file, ask what became of it.

One request at a time over http or https, the address checked, nothing followed elsewhere: a token
is only ever sent to the server that was named.
"""

from __future__ import annotations

import contextlib
import http.client
import io
import json
import ssl
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from tronie.errors import BadInput, TronieError

TIMEOUT_S = 60.0
PIECE = 1 << 16
MOST_ANSWER = 16 << 20

Sent = Callable[[int, int], None]
"""Called with the bytes that were sent and all there are."""


class ChallengeRefused(TronieError):
    """The challenge said no; the sentence is its own."""

    exit_code = 1


class ChallengeUnreachable(TronieError):
    """No challenge answered."""


class Client:
    """One challenge, and the team of a token.

    Args:
        server: As in "https://challenge.example.org".
        token: Of the team's page.

    Raises:
        BadInput: the address is none, or the token cannot be one.
    """

    def __init__(self, server: str, token: str) -> None:
        try:
            parts = urlsplit(server)
            is_one = parts.scheme in ("http", "https") and parts.hostname and not parts.query
            _ = parts.port  # a number that is none is found now
        except ValueError:
            is_one = False
        if not is_one:
            raise BadInput(
                f"--server takes an address such as https://challenge.example.org; got {server!r}"
            )
        if not token or not token.isascii() or not token.isprintable() or " " in token:
            raise BadInput("--token takes a token as the team's page shows it once")
        self._parts, self._token = parts, token

    def submit(
        self, file: Path, track: str, *, note: str = "", sent: Sent | None = None
    ) -> dict[str, Any]:
        """Send a file; the submission as it was received.

        Raises:
            ChallengeRefused: the challenge does not take it; its own sentence.
            ChallengeUnreachable: it does not answer.
        """
        asked = urlencode({"file_name": file.name, "note": note}, errors="replace")
        path = f"/api/v1/tracks/{quote(track, safe='')}/submissions?{asked}"
        size = file.stat().st_size
        with file.open("rb") as opened:
            body = _Told(opened, size, sent)
            return self._ask(
                "POST",
                path,
                body=body,
                headers={
                    "Content-Type": "application/octet-stream",
                    "Content-Length": str(size),
                },
            )

    def submission(self, id: str) -> dict[str, Any]:
        """One of the team's submissions as it is now; errors as `submit`."""
        return self._ask("GET", f"/api/v1/submissions/{quote(id, safe='')}")

    def set_public(self, id: str, public: bool) -> dict[str, Any]:
        """Put one on the board, or take it off; errors as `submit`."""
        body = json.dumps({"public": public}).encode()
        return self._ask(
            "POST",
            f"/api/v1/submissions/{quote(id, safe='')}/public",
            body=body,
            headers={"Content-Type": "application/json"},
        )

    def _ask(
        self,
        method: str,
        path: str,
        *,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> dict[str, Any]:
        host, port = self._parts.hostname or "", self._parts.port
        connection: http.client.HTTPConnection
        if self._parts.scheme == "https":
            context = ssl.create_default_context()
            connection = http.client.HTTPSConnection(host, port, timeout=TIMEOUT_S, context=context)
        else:
            connection = http.client.HTTPConnection(host, port, timeout=TIMEOUT_S)
        told = {
            "Authorization": f"Bearer {self._token}",
            "Accept": "application/json",
            **(headers or {}),
        }
        try:
            # It may answer, and hang up, before all was sent.
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                connection.request(
                    method, self._parts.path.rstrip("/") + path, body=body, headers=told
                )
            answer = connection.getresponse()
            text = answer.read(MOST_ANSWER)
        except (OSError, UnicodeError, http.client.HTTPException) as fault:
            raise ChallengeUnreachable(
                f"{self._parts.scheme}://{self._parts.netloc} does not answer: "
                f"{type(fault).__name__}: {fault}; is it a challenge, and does it run?"
            ) from fault
        finally:
            connection.close()
        return _read(answer.status, text, self._parts.netloc)


class _Told(io.RawIOBase):
    """A file that says how far it was read."""

    def __init__(self, file: io.BufferedReader, size: int, sent: Sent | None) -> None:
        self._file, self._size, self._sent, self._done = file, size, sent, 0

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1, /) -> bytes:
        piece = self._file.read(PIECE if size < 0 else min(size, PIECE))
        self._done += len(piece)
        if self._sent is not None:
            self._sent(self._done, self._size)
        return piece


def _read(status: int, text: bytes, netloc: str) -> dict[str, Any]:
    try:
        told = json.loads(text)
        if not isinstance(told, dict):
            raise ValueError("no object")
    except ValueError:
        raise ChallengeUnreachable(
            f"{netloc} answered {status} with something that is no challenge's; check the address"
        ) from None
    if 200 <= status < 300:
        return told
    fault = told.get("error")
    sentence = fault.get("message") if isinstance(fault, dict) else None
    raise ChallengeRefused(str(sentence or f"the challenge answered {status}"))
