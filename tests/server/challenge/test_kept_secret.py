"""Secrets in files: made once, whole, by whoever is first, and for their owner alone."""

from __future__ import annotations

import os
import secrets
import stat
import threading

import pytest

from tronie.errors import BadInput
from tronie.server.challenge.kept_secret import SECRET_BYTES, kept_secret


def test_a_secret_is_made_once_and_only_its_owner_may_read_it(tmp_path):
    first = kept_secret(tmp_path / "key")
    assert len(first) == SECRET_BYTES
    assert kept_secret(tmp_path / "key") == first
    assert kept_secret(tmp_path / "other") != first
    assert stat.S_IMODE((tmp_path / "key").stat().st_mode) == 0o600
    assert sorted(file.name for file in tmp_path.iterdir()) == ["key", "other"]


def test_those_that_begin_at_once_agree_on_the_secret(tmp_path):
    for number in range(10):
        file, together, found = tmp_path / str(number), threading.Barrier(8), []

        def begin(file=file, together=together, found=found):
            together.wait()
            found.append(kept_secret(file))

        threads = [threading.Thread(target=begin) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(found) == 8
        assert len(set(found)) == 1
    assert not list(tmp_path.glob("*.part"))


def test_a_process_that_is_killed_while_it_makes_the_secret_leaves_none(tmp_path, monkeypatch):
    class Killed(BaseException):
        """As by a signal."""

    def killed(count):
        raise Killed("now")

    monkeypatch.setattr(secrets, "token_bytes", killed)
    with pytest.raises(Killed, match="now"):
        kept_secret(tmp_path / "key")
    monkeypatch.undo()
    assert list(tmp_path.iterdir()) == []
    assert len(kept_secret(tmp_path / "key")) == SECRET_BYTES


def test_what_is_there_is_handed_out_as_it_is(tmp_path):
    (tmp_path / "key").write_bytes(b"short")
    assert kept_secret(tmp_path / "key") == b"short"
    assert (tmp_path / "key").read_bytes() == b"short"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_is_refused(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(BadInput, match=r"key cannot be written and read: Permission denied"):
        kept_secret(tmp_path / "key")


def test_a_secret_that_cannot_be_read_is_refused(tmp_path):
    (tmp_path / "key").mkdir()
    with pytest.raises(BadInput, match=r"key cannot be written and read: Is a directory"):
        kept_secret(tmp_path / "key")
