"""A real server: an answer over a socket, who runs beside it, and an address in use."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import textwrap
import threading

import pytest

pytest.importorskip("uvicorn", reason="needs the serve extra")

from tronie.errors import BadInput
from tronie.server import serve
from working_tree import environment

pytestmark = pytest.mark.server

PROGRAM = textwrap.dedent(
    """
    import threading
    from starlette.responses import PlainTextResponse
    from tronie.server import serve

    class Worker:
        def __init__(self): self.ended = threading.Event()
        def run(self): self.ended.wait(); print("worker ended", flush=True)
        def stop(self): self.ended.set()

    async def app(scope, receive, send):
        await PlainTextResponse("hello " + scope["client"][0])(scope, receive, send)

    serve.run(app, host="127.0.0.1", port=0, beside=[Worker()],
              trusted_proxies=PROXIES, ready=lambda port: print(port, flush=True))
    """
)


def ask(port: int, head: str) -> str:
    with socket.create_connection(("127.0.0.1", port), timeout=10) as line:
        line.sendall(f"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{head}\r\n".encode())
        return b"".join(iter(lambda: line.recv(4096), b"")).decode()


@pytest.mark.parametrize(("proxies", "client"), [((), "127.0.0.1"), (("127.0.0.1",), "192.0.2.9")])
def test_it_answers_until_it_is_told_to_end_and_ends_what_runs_beside_it(proxies, client):
    program = PROGRAM.replace("PROXIES", repr(proxies))
    process = subprocess.Popen(
        [sys.executable, "-c", program], env=environment(), stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        port = int(process.stdout.readline())
        answer = ask(port, "X-Forwarded-For: 192.0.2.9\r\n")
        assert answer.endswith(f"hello {client}"), "a stranger's word on who they are is no word"
        assert "server:" not in answer.lower()
        os.kill(process.pid, signal.SIGTERM)
        told, _ = process.communicate(timeout=30)
        assert told == "worker ended\n"
    finally:
        process.kill()
        process.wait()


def test_an_address_in_use_is_refused():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(BadInput, match=rf"127\.0\.0\.1:{port} cannot be listened at: .*in use"):
            serve.run(_no_app, host="127.0.0.1", port=port)
    with pytest.raises(BadInput, match="cannot be listened at"):
        serve.run(_no_app, host="127.0.0.1", port=99999)
    assert threading.active_count() >= 1


async def _no_app(scope, receive, send):
    raise AssertionError("nobody is answered")
