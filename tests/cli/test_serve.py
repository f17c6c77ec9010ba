"""serve challenge: what is refused before anything is begun, and a whole challenge by commands."""

from __future__ import annotations

import itertools
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from PIL import Image

from toys import toy_face
from working_tree import environment

pytest.importorskip("fastapi", reason="needs the serve extra")

import onnx

import tiny_models
from tronie.cli import serve

pytestmark = pytest.mark.server
TRACK = "demonstration-faces"


def write_crops(folder, *, people=20, shots=3):
    """Aligned crops of drawn people: enough pairs for a demonstration."""
    for person in range(people):
        home = folder / f"person_{person:02d}"
        home.mkdir(parents=True)
        for shot in range(shots):
            crop = toy_face(person, shot=shot)[24:136, 24:136]
            Image.fromarray(crop).save(home / f"{shot}.png")
    return folder


# --- what is refused --------------------------------------------------------------------------


def test_a_folder_that_is_not_there_is_refused_and_not_made(tmp_path, cli_here):
    ran = cli_here("serve", "challenge", "--dir", tmp_path / "none")
    assert (ran.code, ran.out) == (2, "")
    assert "none has no track: put private data into " in ran.err
    assert "or name photographs of people with --photos for a demonstration" in ran.err
    assert list(tmp_path.iterdir()) == []


def test_a_file_in_the_place_of_the_folder_is_refused(tmp_path, cli_here):
    (tmp_path / "file").write_text("")
    ran = cli_here("serve", "challenge", "--dir", tmp_path / "file")
    assert ran.code == 2
    assert "file cannot be a challenge's folder: File exists" in ran.err


def test_all_faults_of_the_settings_are_told_at_once(tmp_path, cli_here):
    (tmp_path / "challenge.toml").write_text(
        'titel = "x"\npublic_url = "nonsense"\nsession_days = "many"\n[smtp]\nport = 3\n'
    )
    ran = cli_here("serve", "challenge", "--dir", tmp_path)
    assert ran.code == 2
    (line,) = ran.err.splitlines()
    for fault in (
        "challenge.toml: titel is no setting; there are: public_url, ",
        "session_days must be a whole number; got 'many'",
        "smtp.host is missing",
        "public_url must be http:// or https://, a host and at most a port; got 'nonsense'",
    ):
        assert fault in line


def test_settings_without_a_track_are_refused(tmp_path, cli_here):
    (tmp_path / "challenge.toml").write_text("")
    ran = cli_here("serve", "challenge", "--dir", tmp_path)
    assert ran.code == 2
    assert "has no track" in ran.err


def test_a_folder_of_data_of_no_track_is_named(tmp_path, cli_here):
    (tmp_path / "data" / "mfr21").mkdir(parents=True)
    ran = cli_here("serve", "challenge", "--dir", tmp_path)
    assert ran.code == 2
    assert "data/mfr21 is of no track; `tronie list tracks` tells those there are" in ran.err


def test_photographs_that_are_too_few_leave_nothing(tmp_path, cli_here):
    photos = write_crops(tmp_path / "photos", people=2)
    ran = cli_here("serve", "challenge", "--dir", tmp_path / "site", "--photos", photos)
    assert ran.code == 2
    assert "6 of 6 pictures in " in ran.err
    assert not list((tmp_path / "site").rglob("*.csv"))


def test_a_busy_port_is_told_and_the_password_kept_for_the_start_that_works(tmp_path, cli_here):
    (tmp_path / "challenge.toml").write_text('tracks = ["mfr21-a"]\n')
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        words = ["serve", "challenge", "--dir", tmp_path, "--port", port, "--no-worker"]
        ran = cli_here(*words)
        assert (ran.code, ran.out) == (2, "")
        assert re.search(
            rf"127\.0\.0\.1:{port} cannot be listened at: .*; end what is there, or give", ran.err
        )
    from tronie.server.challenge.store import Store

    with Store.open(f"sqlite:///{tmp_path / 'challenge.db'}") as store:
        assert store.users() == ()


@pytest.mark.parametrize(
    ("host", "toml", "is_told"),
    [
        ("127.0.0.1", "", False),
        ("192.0.2.7", "", True),
        ("192.0.2.7", 'hosts = ["192.0.2.7"]\n', False),
        ("0.0.0.0", 'hosts = ["*"]\n', False),
        ("::1", "", False),
    ],
)
def test_visitors_who_would_be_refused_are_told_of_at_the_start(
    host, toml, is_told, tmp_path, cli_here, monkeypatch
):
    """The host is not listened at: `run` is a stand-in that is ready at once."""
    import tronie.server.serve

    monkeypatch.setattr(tronie.server.serve, "run", lambda app, *, ready, port, **told: ready(port))
    (tmp_path / "challenge.toml").write_text(f'tracks = ["mfr21-a"]\n{toml}')
    ran = cli_here("serve", "challenge", "--dir", tmp_path, "--host", host, "--no-worker")
    assert ran.code == 0
    shown = f"[{host}]" if ":" in host else host
    assert ran.out.startswith(f"the challenge is at http://{shown}:8000 with mfr21-a\norganizer: ")
    assert ("it answers by the names in public_url and hosts of" in ran.err) == is_told


def test_the_help_page_fits_into_80_columns(cli_here, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    ran = cli_here("serve", "challenge", "--help")
    assert ran.code == 0
    assert max(map(len, ran.out.splitlines())) <= 80
    assert "completion" not in cli_here("serve", "--help").out


# --- the worker beside it -----------------------------------------------------------------------


class Program:
    """In the place of the worker: ends with 3 at once, twice, then runs until it is told to end."""

    def __init__(self, made: list[Any], words: list[str], env: dict[str, str], stdin: int) -> None:
        self.words, self.env, self._end = words, env, threading.Event()
        if len(made) < 2:
            self._end.set()
        made.append(self)

    def wait(self) -> int:
        assert self._end.wait(30)
        return 3

    def poll(self) -> int | None:
        return 3 if self._end.is_set() else None

    def terminate(self) -> None:
        self._end.set()


def test_a_worker_that_ends_is_begun_again_until_the_site_ends(monkeypatch, capsys):
    made: list[Program] = []
    monkeypatch.setattr(
        serve.subprocess, "Popen", lambda words, *, env, stdin: Program(made, words, env, stdin)
    )
    monkeypatch.setattr(serve, "FIRST_WAIT_S", 0.0)
    worker = serve._WorkerProcess(Path("here"), "postgresql://ada:secret@db/challenge")
    thread = threading.Thread(target=worker.run)
    thread.start()
    while len(made) < 3:
        time.sleep(0.001)  # another thread begins them
    worker.stop()
    thread.join(30)
    assert not thread.is_alive()
    assert len(made) == 3
    assert capsys.readouterr().err.count("the worker ended with 3; it is begun again in 0 s") == 2
    assert "secret" not in " ".join(made[0].words)
    assert made[0].env["TRONIE_CHALLENGE_DATABASE"] == "postgresql://ada:secret@db/challenge"


def test_a_worker_that_worked_for_long_is_begun_again_soon(monkeypatch, capsys):
    """Submissions that end it, one now and then, do not add up to a wait of a minute each."""
    made: list[Program] = []
    moments = itertools.count(0, 100)
    monkeypatch.setattr(serve, "time", SimpleNamespace(monotonic=lambda: next(moments)))
    monkeypatch.setattr(
        serve.subprocess, "Popen", lambda words, *, env, stdin: Program(made, words, env, stdin)
    )
    monkeypatch.setattr(serve, "FIRST_WAIT_S", 0.4)
    worker = serve._WorkerProcess(Path("here"), None)
    thread = threading.Thread(target=worker.run)
    thread.start()
    while len(made) < 3:
        time.sleep(0.001)
    worker.stop()
    thread.join(30)
    assert capsys.readouterr().err.count("it is begun again in 0 s") == 2, "0.4 s, and not 0.8"


def test_pages_name_the_port_that_is_served_unless_an_address_was_set():
    from tronie.server.challenge.settings import Settings

    assert serve._with_port(Settings(), 8123).public_url == "http://127.0.0.1:8123"
    assert serve._with_port(Settings(), 0).public_url == "http://127.0.0.1:8000"
    own = Settings(public_url="https://faces.example.org")
    assert serve._with_port(own, 8123) is own


def test_without_a_database_of_its_own_the_worker_reads_the_settings(monkeypatch):
    monkeypatch.delenv("TRONIE_CHALLENGE_DATABASE", raising=False)
    worker = serve._WorkerProcess(Path("here"), None)
    assert "TRONIE_CHALLENGE_DATABASE" not in worker._environment
    assert worker._words == ["challenge", "worker", "--attached", "--dir", "here"]


# --- a whole challenge --------------------------------------------------------------------------


class Served:
    """`tronie serve challenge` in a process group of its own, with what it printed."""

    def __init__(self, folder: Path, *words: object) -> None:
        self.folder = folder
        self.errors = folder.with_suffix(".err").open("w+")
        program = [sys.executable, "-m", "tronie", "serve", "challenge", "--dir", str(folder)]
        self.process = subprocess.Popen(
            [*program, "--port", "0", *map(str, words)],
            env={**environment(), "OMP_NUM_THREADS": "1"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            text=True,
            start_new_session=True,
        )
        assert self.process.stdout
        found = re.fullmatch(
            rf"the challenge is at (http://127\.0\.0\.1:\d+) with {TRACK}\n",
            self.process.stdout.readline(),
        )
        assert found, self.told()
        self.address = found[1]

    def line(self) -> str:
        assert self.process.stdout
        return self.process.stdout.readline()

    def told(self) -> str:
        return Path(self.errors.name).read_text()

    def workers(self) -> list[int]:
        """Processes of its group but itself."""
        found = []
        for stat in Path("/proc").glob("[0-9]*/stat"):
            try:
                group = stat.read_text().rpartition(")")[2].split()[2]
            except OSError:
                continue
            if int(group) == self.process.pid != int(stat.parent.name):
                found.append(int(stat.parent.name))
        return found

    def wait_until(self, done: Any, seconds: float = 60.0) -> None:
        end = time.monotonic() + seconds
        while not done():
            assert time.monotonic() < end, self.told()
            time.sleep(0.05)  # processes outside this one are watched

    def end(self, number: int, *, group: bool) -> str:
        """Signal it, or all of its group as a terminal does; what it had printed besides."""
        (os.killpg if group else os.kill)(self.process.pid, number)
        self.process.wait(60)
        self.wait_until(lambda: not self.workers())
        self.errors.close()
        assert self.process.stdout
        with self.process.stdout as out:
            return out.read()


@pytest.fixture
def serving():
    """Begins one; all are ended."""
    begun: list[Served] = []

    def begin(folder: Path, *words: object) -> Served:
        begun.append(Served(folder, *words))
        return begun[-1]

    yield begin
    for one in begun:
        if one.process.poll() is None:
            one.end(signal.SIGKILL, group=True)


def new_token(folder: Path) -> str:
    """Of a team that has signed up."""
    from tronie.server.challenge.store import Store

    with Store.open(f"sqlite:///{folder / 'challenge.db'}") as store:
        now = datetime.now(UTC)
        user = store.create_account(
            organization="Ada's", email="ada@example.org", password_hash="none", now=now
        )
        return store.new_token(user.id, label="laptop", now=now)


@pytest.mark.slow
def test_a_challenge_from_the_first_start_to_a_checked_result(serving, cli, tmp_path, monkeypatch):
    folder, photos = tmp_path / "site", write_crops(tmp_path / "photos")
    site = serving(folder, "--photos", photos)
    assert site.line() == "organizer: organizer@challenge.invalid\n"
    assert re.fullmatch(r"password, shown this once: \S{20}\n", site.line())
    assert folder.stat().st_mode & 0o77 == 0
    onnx.save(tiny_models.honest(), tmp_path / "model.onnx")
    monkeypatch.setenv("TRONIE_CHALLENGE_TOKEN", new_token(folder))
    words = ["challenge", "submit", tmp_path / "model.onnx", "--track", TRACK]
    ran = cli(*words, "--server", site.address, "--wait", "--public", "--json")
    assert ran.code == 0, ran.err + site.told()
    (told,) = ran.json_lines()
    assert (told["state"], told["public"], told["track"]) == ("scored", True, TRACK)
    assert "tar_at_far_0.001" in told["report"]["values"]
    (tmp_path / "bad.onnx").write_text("no model")
    words[2] = tmp_path / "bad.onnx"
    ran = cli(*words, "--server", site.address, "--wait")
    assert ran.code == 1
    assert "model.onnx is no ONNX file" in ran.out
    check_board_and_result(site.address, told["id"], cli, tmp_path)
    assert site.end(signal.SIGINT, group=True) == ""
    ignored = signal.getsignal(signal.SIGINT) is signal.SIG_IGN  # as in a shell's background
    assert site.process.returncode == (0 if ignored else 130)


def check_board_and_result(address: str, id: str, cli: Any, folder: Path) -> None:
    import httpx

    board = httpx.get(f"{address}/api/v1/tracks/{TRACK}/board").json()
    assert [row["organization"] for row in board["rows"]] == ["Ada's"]
    token = os.environ["TRONIE_CHALLENGE_TOKEN"]
    headers = {"Authorization": f"Bearer {token}"}
    result = httpx.get(f"{address}/api/v1/submissions/{id}/result", headers=headers)
    (folder / "result.json").write_text(json.dumps(result.json()))
    key = httpx.get(f"{address}/api/v1/key").json()["public_key"]
    ran = cli("challenge", "check-result", folder / "result.json", f"--key={key}")
    assert (ran.code, ran.out) == (0, "this is what the challenge signed\n")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 0), (signal.SIGKILL, -signal.SIGKILL)]
)
def test_the_worker_ends_with_the_site_and_a_second_start_shows_no_password(
    number, code, serving, tmp_path
):
    folder, photos = tmp_path / "site", write_crops(tmp_path / "photos")
    site = serving(folder, "--photos", photos, "--no-worker")
    assert site.end(signal.SIGTERM, group=False).count("password, shown this once: ") == 1
    assert (site.process.returncode, site.told()) == (0, "")
    site = serving(folder)
    site.wait_until(lambda: f"judging {TRACK}" in site.told())
    assert len(site.workers()) == 1
    assert "strangers' models run in a sandbox (memory: " in site.told()
    assert site.end(number, group=False) == ""
    assert site.process.returncode == code
    assert "Traceback" not in site.told()
