"""A challenge's API as far as a participant's commands see it, on the loopback interface."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

TOKEN = "a-token-of-a-team"
ID = "0123456789abcdef0123456789abcdef"


def submission(state: str = "received", **changed: Any) -> dict[str, Any]:
    """A submission as the API tells it."""
    given = {
        "id": ID,
        "track": "mfr21-a",
        "state": state,
        "position": 2 if state in ("received", "queued") else None,
        "reason": "",
        "public": False,
        "report": None,
    }
    return {**given, **changed}


class ToyChallenge:
    """Answers requests one after another with what it was given, and keeps what was asked."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.answers: list[tuple[int, Any]] = []
        """Status and body: plain JSON, bytes as they are, None to hang up."""
        self.asked: list[tuple[str, str, dict[str, str], bytes]] = []
        """Method, path, parameters and body."""
        self.headers: list[dict[str, str]] = []

    def will_answer(self, *answers: Any, status: int = 200) -> None:
        """These, in this order; the last one again and again."""
        self.answers += [(status, answer) for answer in answers]

    def will_refuse(self, status: int, message: str) -> None:
        self.answers.append((status, {"error": {"code": "code", "message": message}}))


@contextmanager
def toy_challenge() -> Iterator[ToyChallenge]:
    """One that runs until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._reply(b"")

        def do_POST(self) -> None:
            self._reply(self.rfile.read(int(self.headers["Content-Length"])))

        def _reply(self, body: bytes) -> None:
            parts = urlsplit(self.path)
            told = {name: values[0] for name, values in parse_qs(parts.query).items()}
            challenge.asked.append((self.command, parts.path, told, body))
            challenge.headers.append(dict(self.headers.items()))
            answers = challenge.answers
            status, answer = answers.pop(0) if len(answers) > 1 else answers[0]
            if answer is None:
                return
            data = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            """Nothing is printed."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    challenge = ToyChallenge(f"http://127.0.0.1:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield challenge
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
