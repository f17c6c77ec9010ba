"""Serve an application on one address, and run what has to run beside it until it ends.

    run(app, host="127.0.0.1", port=8000, beside=[worker])

A connection on which no whole request head arrives for HEAD_SECONDS is closed, so that lines left
half written do not use up the MOST_CONNECTIONS there are. Behind a proxy that ends TLS, name the
proxy in `trusted_proxies`: only its word on who a visitor is counts. How many connections one
visitor may have is for the proxy to bound.
"""

from __future__ import annotations

import signal
import socket
import threading
from asyncio import TimerHandle, Transport
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.auto import AutoHTTPProtocol

from tronie.errors import BadInput

KEEP_ALIVE_S = 10
MOST_CONNECTIONS = 2000
SHUTDOWN_S = 15
HEAD_SECONDS = 20

if TYPE_CHECKING:  # it is one of two classes, told when it runs
    from uvicorn.protocols.http.h11_impl import H11Protocol as _Line
else:
    _Line = AutoHTTPProtocol


class Beside(Protocol):
    """Something with a life of its own, such as a worker."""

    def run(self) -> None:
        """Until `stop`."""

    def stop(self) -> None:
        """End `run`; called from another thread."""


class _PromptLine(_Line):
    """A connection that is closed when it waits for a request head for too long."""

    _ticking: TimerHandle | None = None
    _before: Any = None
    """The request that was known when it was looked at last."""

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        """As the server's own, and looked at from now on."""
        super().connection_made(transport)
        self._look_later()

    def connection_lost(self, exc: Exception | None) -> None:
        """As the server's own."""
        if self._ticking is not None:
            self._ticking.cancel()
        super().connection_lost(exc)

    def _look_later(self) -> None:
        self._ticking = self.loop.call_later(HEAD_SECONDS, self._look)

    def _look(self) -> None:
        now: Any = self.cycle
        is_answering = now is not None and not now.response_complete
        if now is self._before and not is_answering:
            self.transport.close()
            return
        self._before = now
        self._look_later()


def run(
    app: ASGIApp,
    *,
    host: str,
    port: int,
    trusted_proxies: Sequence[str] = (),
    beside: Sequence[Beside] = (),
    ready: Callable[[int], None] | None = None,
) -> None:
    """Serve until the process is told to end (SIGINT, SIGTERM).

    Args:
        port: 0 to take any that is free.
        beside: Each runs in a thread of its own, and is stopped when the server ends.
        ready: Called once with the port, when requests are answered.

    Raises:
        BadInput: the address cannot be listened at.
    """
    listening = _listen(host, port)
    config = uvicorn.Config(
        app,
        http=_PromptLine,
        log_level="warning",
        access_log=False,
        server_header=False,
        date_header=True,
        proxy_headers=bool(trusted_proxies),
        forwarded_allow_ips=",".join(trusted_proxies),
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=SHUTDOWN_S,
        limit_concurrency=MOST_CONNECTIONS,
        lifespan="off",
    )
    threads = [threading.Thread(target=one.run, name="beside", daemon=True) for one in beside]
    server = uvicorn.Server(config)
    with listening, _sigterm_ends(server):
        try:
            if ready is not None:
                ready(listening.getsockname()[1])
            for thread in threads:
                thread.start()
            server.run(sockets=[listening])
        finally:
            for one in beside:
                one.stop()
            for thread in threads:
                if thread.ident is not None:
                    thread.join(SHUTDOWN_S)


@contextmanager
def _sigterm_ends(server: uvicorn.Server) -> Iterator[None]:
    """SIGTERM ends the server in order, and not this process before what stands after it.

    uvicorn does so too while it runs, and then raises the signal again for whoever was there
    before.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def end(*_: object) -> None:
        server.should_exit = True

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # The protocol is named so that asyncio sends small answers at once (TCP_NODELAY).
    made = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((host, port))
        made.listen(2048)
    except (OSError, OverflowError) as fault:
        made.close()
        raise BadInput(
            f"{host}:{port} cannot be listened at: {fault}; end what is there, or give another port"
        ) from fault
    return made
