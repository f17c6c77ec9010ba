"""A real server: an answer over a socket, who runs beside it, and an address in use."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time

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


def test_half_a_request_head_holds_no_connection():
    """A thousand of them would leave none for anybody else; whole requests may go on and on."""
    program = PROGRAM.replace("PROXIES", "()").replace(
        "serve.run(", "serve.HEAD_SECONDS = 0.3\nserve.run(", 1
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program], env=environment(), stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        place = ("127.0.0.1", int(process.stdout.readline()))
        whole = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
        with (
            socket.create_connection(place, timeout=10) as silent,
            socket.create_connection(place, timeout=10) as dribbles,
            socket.create_connection(place, timeout=10) as again,
        ):
            dribbles.sendall(b"GET / HTTP/1.1\r\nX: ")
            for _ in range(8):
                again.sendall(whole)
                told = b""
                while not told.endswith(b"hello 127.0.0.1"):
                    part = again.recv(4096)
                    assert part, "whole requests are answered on and on"
                    told += part
                time.sleep(0.1)
                with contextlib.suppress(OSError):
                    dribbles.send(b"a")
            assert silent.recv(1) == b""
            with contextlib.suppress(ConnectionResetError):
                assert dribbles.recv(1) == b""
            again.sendall(whole[:-2])
            while again.recv(4096):
                pass
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=20)


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
