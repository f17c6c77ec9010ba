"""A number's origin: enough to repeat it, and nothing about who ran it."""

from __future__ import annotations

import getpass
import hashlib
import importlib.metadata
import json
import os
import platform
import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import tronie.provenance
from tronie.errors import BadFile, BadInput, NotFound
from tronie.provenance import Provenance, file_sha256, provenance

ABC = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # FIPS 180-2, B.1


def git(folder: Path, *words: str) -> str:
    identity = ["-c", "user.name=n", "-c", "user.email=e@example.org", "-c", "commit.gpgsign=false"]
    command = ["git", "-C", str(folder), *identity, *words]
    clean = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    return subprocess.run(command, check=True, capture_output=True, text=True, env=clean).stdout


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A git repository with one committed file, which the module believes to lie in."""
    module = tmp_path / "src" / "tronie" / "provenance.py"
    module.parent.mkdir(parents=True)
    module.write_text("one")
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-q", "-m", "first")
    monkeypatch.setattr(tronie.provenance, "__file__", str(module))
    return tmp_path


def test_the_checksum_is_the_published_one(tmp_path):
    (tmp_path / "abc").write_bytes(b"abc")
    assert file_sha256(tmp_path / "abc") == ABC


def test_a_file_longer_than_one_read_is_summed_whole(tmp_path):
    content = bytes(range(256)) * 10_000
    (tmp_path / "long").write_bytes(content)
    assert file_sha256(tmp_path / "long") == hashlib.sha256(content).hexdigest()


def test_inputs_are_files_or_known_checksums(tmp_path):
    (tmp_path / "abc").write_bytes(b"abc")
    made = provenance({"file": tmp_path / "abc", "text": str(tmp_path / "abc"), "sum": ABC.upper()})
    assert made.inputs == {"file": ABC, "text": ABC, "sum": ABC}


def test_the_date_is_now_in_utc():
    date = datetime.fromisoformat(provenance().date)
    assert date.utcoffset() == timedelta(0)
    assert abs(datetime.now(UTC) - date) < timedelta(minutes=1)


def test_versions_are_those_installed_and_no_others():
    libraries = provenance().libraries
    assert libraries["numpy"] == importlib.metadata.version("numpy")
    assert set(libraries) <= set(tronie.provenance.LIBRARIES)
    for name in set(tronie.provenance.LIBRARIES) - set(libraries):
        with pytest.raises(importlib.metadata.PackageNotFoundError, match=name):
            importlib.metadata.version(name)


def test_the_record_survives_json():
    made = provenance({"x": ABC})
    assert Provenance.from_dict(json.loads(json.dumps(made.to_dict()))) == made


def test_nobody_and_no_path_is_named(tmp_path):
    (tmp_path / "abc").write_bytes(b"abc")
    text = json.dumps(provenance({"abc": tmp_path / "abc"}).to_dict())
    told = [str(tmp_path), str(Path.home()), str(Path(__file__).parents[1]), platform.node()]
    assert [word for word in told if word in text and len(word) > 1] == []
    assert f"/{getpass.getuser()}" not in text


@pytest.mark.skipif(shutil.which("git") is None, reason="needs git")
def test_a_clean_checkout_has_its_commit(checkout):
    made = provenance()
    assert made.commit == git(checkout, "rev-parse", "HEAD").strip()
    assert made.dirty is False


@pytest.mark.skipif(shutil.which("git") is None, reason="needs git")
@pytest.mark.parametrize("name", ["provenance.py", "new.py"])
def test_changed_and_new_files_under_src_make_it_dirty(checkout, name):
    (checkout / "src" / "tronie" / name).write_text("two")
    assert provenance().dirty is True


@pytest.mark.skipif(shutil.which("git") is None, reason="needs git")
def test_results_written_beside_src_do_not_make_it_dirty(checkout):
    (checkout / "report.json").write_text("{}")
    assert provenance().dirty is False


@pytest.mark.skipif(shutil.which("git") is None, reason="needs git")
def test_variables_of_a_git_hook_do_not_lead_to_another_repository(checkout, monkeypatch):
    monkeypatch.setenv("GIT_DIR", str(checkout / "nowhere"))
    assert provenance().commit == git(checkout, "rev-parse", "HEAD").strip()


def test_outside_a_checkout_there_is_no_commit(tmp_path, monkeypatch):
    monkeypatch.setattr(tronie.provenance, "__file__", str(tmp_path / "a" / "b" / "c.py"))
    assert (provenance().commit, provenance().dirty) == (None, None)


def test_without_git_there_is_no_commit(checkout, monkeypatch):
    monkeypatch.setenv("PATH", str(checkout))
    assert (provenance().commit, provenance().dirty) == (None, None)


def test_a_missing_input_is_refused(tmp_path):
    with pytest.raises(NotFound, match=r"cannot take the checksum of .*none: there is no such"):
        provenance({"x": tmp_path / "none"})


def test_a_folder_as_input_is_refused(tmp_path):
    with pytest.raises(BadInput, match=r"cannot take the checksum of .*: Is a directory"):
        file_sha256(tmp_path)


def test_a_record_with_another_field_is_refused():
    record = provenance().to_dict() | {"user": "me"}
    with pytest.raises(BadFile, match=r"provenance record cannot be read: .*'user'"):
        Provenance.from_dict(record)
