"""serve: host a face recognition challenge with one command."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tronie.cli import options
from tronie.cli.challenge import DATABASE_VARIABLE, DatabaseUrl
from tronie.cli.needs_server import server_needed
from tronie.cli.terminal import progress, say, tell
from tronie.errors import BadInput

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from tronie.server.challenge.demonstration import Align
    from tronie.server.challenge.home import Home
    from tronie.server.challenge.settings import Settings

FIRST_WAIT_S, LONGEST_WAIT_S = 1.0, 60.0
ORGANIZER = "organizer@challenge.invalid"
CROP_SIDE = 112

app = typer.Typer(
    add_completion=False, no_args_is_help=True, help="Serve what others use with a browser."
)


@app.callback()
def serve() -> None:
    """Serve what others use with a browser."""


@app.command()
def challenge(
    *,
    dir: Annotated[
        Path, typer.Option("--dir", metavar="DIR", help="The challenge's folder; made if new.")
    ],
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="0: any free one.")] = 8000,
    host: Annotated[str, typer.Option("--host", help="Address to listen at.")] = "127.0.0.1",
    database: DatabaseUrl = None,
    photos: Annotated[
        Path | None,
        typer.Option(
            "--photos",
            metavar="FOLDER",
            help="One folder a person: makes a small track to try it with.",
        ),
    ] = None,
    organizer: Annotated[
        str, typer.Option("--organizer", metavar="EMAIL", help="Of the first organizer.")
    ] = ORGANIZER,
    embedded_worker: Annotated[
        bool, typer.Option("--worker/--no-worker", help="Judge submissions here, too.")
    ] = True,
    detector: options.Detector = options.DEFAULT_DETECTOR,
) -> None:
    """Host a challenge: a site, a database, uploads, and a worker that judges.

    Prints the address and, the first time, the organizer's password, once. Tracks are those with
    private data in DIR/data; settings are read from DIR/challenge.toml. Behind a proxy that ends
    TLS, set public_url there.
    """
    with server_needed("tronie serve challenge"):
        from tronie.server.challenge.home import Home

    if photos is not None:
        _make_demonstration(photos, dir, detector)
    elif not dir.exists():
        raise _no_track(dir)
    home = Home(dir, database=database)
    if not home.tracks:
        raise _no_track(dir)
    home.settings = _with_port(home.settings, port)
    beside = [_WorkerProcess(dir, database)] if embedded_worker else []
    _serve(home, host=host, port=port, organizer=organizer, beside=beside)


def _serve(
    home: Home, *, host: str, port: int, organizer: str, beside: Sequence[_WorkerProcess]
) -> None:
    """Until it is told to end."""
    with server_needed("tronie serve challenge"):
        from tronie.server.challenge.accounts import Passwords, make_organizer
        from tronie.server.challenge.baselines import shown_baselines
        from tronie.server.challenge.store import Store
        from tronie.server.serve import run
        from tronie.server.sites.challenge.app import create_app

    passwords = Passwords()
    with Store.open(home.settings.database) as store:
        site = create_app(
            home.settings,
            store,
            home.storage(),
            home.tracks,
            keys=home.signer(),
            baselines=lambda: shown_baselines(home.folder),
            passwords=passwords,
        )

        def ready(taken: int) -> None:
            """An account whose password nobody is shown would be lost: not before it answers."""
            now = datetime.now(UTC)
            first = make_organizer(
                store, passwords, email=organizer, organization="Organizer", now=now
            )
            shown = f"[{host}]" if ":" in host else host
            tell(f"the challenge is at http://{shown}:{taken} with {', '.join(home.tracks)}")
            if first is not None:
                tell(f"organizer: {organizer}")
                tell(f"password, shown this once: {first}")
            sys.stdout.flush()
            if not _is_known(host, home.settings):
                say(
                    "it answers by the names in public_url and hosts of "
                    f"{home.folder / 'challenge.toml'} alone: "
                    f"{', '.join(home.settings.known_hosts)}"
                )

        proxies = home.settings.trusted_proxies
        run(site, host=host, port=port, trusted_proxies=proxies, beside=beside, ready=ready)


class _WorkerProcess:
    """`tronie challenge worker` in a process of its own, begun again whenever it ends.

    So nothing that a submission does to it, nor the load that it makes, can end the site. It ends
    when the site is no more, however that came: its standard input is closed then. The address of
    a database may hold a password, and is not handed over on the command line.
    """

    def __init__(self, folder: Path, database: str | None) -> None:
        self._words = ["challenge", "worker", "--attached", "--dir", str(folder)]
        given = {} if database is None else {DATABASE_VARIABLE: database}
        self._environment = {**os.environ, **given}
        self._ended = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()

    def run(self) -> None:
        """Until `stop`."""
        wait_s = FIRST_WAIT_S
        while not self._ended.is_set():
            with self._lock:
                if self._ended.is_set():
                    return
                begun = time.monotonic()
                self._process = subprocess.Popen(
                    [sys.executable, "-m", "tronie", *self._words],
                    env=self._environment,
                    stdin=subprocess.PIPE,
                )
            code = self._process.wait()
            if self._ended.wait(0):
                return
            if time.monotonic() - begun > LONGEST_WAIT_S:  # it worked; what ended it was one thing
                wait_s = FIRST_WAIT_S
            say(f"the worker ended with {code}; it is begun again in {wait_s:.0f} s")
            self._ended.wait(wait_s)
            wait_s = min(2 * wait_s, LONGEST_WAIT_S)

    def stop(self) -> None:
        """End the process; what it judged goes back into the queue."""
        self._ended.set()
        with self._lock:
            if self._process is not None and self._process.poll() is None:
                self._process.terminate()


def _no_track(folder: Path) -> BadInput:
    return BadInput(
        f"{folder} has no track: put private data into {folder}/data/TRACK, or name photographs of "
        "people with --photos for a demonstration"
    )


def _with_port(settings: Settings, port: int) -> Settings:
    """The address that pages and messages name, where nobody set one: this machine, that port."""
    unset = type(settings)().public_url
    if not port or settings.public_url != unset:
        return settings
    return replace(settings, public_url=f"{unset.rpartition(':')[0]}:{port}")


def _is_known(host: str, settings: Settings) -> bool:
    """Whether visitors can come in by the address that is listened at."""
    known = settings.known_hosts
    return "*" in known or host.lower() in known or f"[{host}]" in known


def _make_demonstration(photos: Path, folder: Path, detector: str) -> None:
    """Private data of the demonstration track, unless they are there."""
    from tronie.server.challenge.demonstration import TRACK, make_demonstration
    from tronie.server.challenge.home import DATA

    out = folder / DATA / TRACK
    if out.is_dir() and any(out.iterdir()):
        say(f"the demonstration has its data already, in {out}; --photos is not looked at")
        return
    for made in (folder, out.parent):  # parents that mkdir makes by itself are open to all
        made.mkdir(parents=True, exist_ok=True, mode=0o700)
    with progress(None, "preparing photographs") as done:
        align = None if _are_crops(photos) else _aligner(detector, done)
        make_demonstration(photos, out, align=align)


def _are_crops(photos: Path) -> bool:
    """Whether the first picture is an aligned crop already."""
    from tronie.data.readers.image_folder import identities
    from tronie.images.io import read_image

    return read_image(identities([photos])[0][1]).shape == (112, 112, 3)


def _aligner(detector: str, done: Callable[[int], None]) -> Align:
    """From an encoded photograph to the crop of the face in its middle."""
    from tronie.cli.models_in_use import Chosen, open_analyzer
    from tronie.images.io import decode_image

    analyzer = open_analyzer(Chosen(detector=detector, policy="center"))

    def align(data: bytes) -> NDArray[np.uint8] | None:
        [(_, crops)] = analyzer.aligned([decode_image(data, name="photograph")], size=CROP_SIDE)
        done(1)
        return crops[0] if len(crops) else None

    return align
