"""Uploads: stored whole or not at all, under names of our own, in a folder or elsewhere."""

import hashlib
import io
import shutil

import pytest

pytest.importorskip("fsspec")

from tronie.errors import BadInput, NotFound
from tronie.server.challenge.storage import (
    KEPT_FREE,
    Storage,
    StorageUnavailable,
    TooLarge,
)

pytestmark = pytest.mark.server
BYTES = bytes(range(256)) * 9000  # two pieces and a bit


@pytest.fixture(params=["folder", "memory"])
def storage(request, tmp_path):
    return Storage(str(tmp_path / "up") if request.param == "folder" else f"memory://{tmp_path}")


def test_a_file_comes_back_as_it_was(storage):
    stored = storage.put(io.BytesIO(BYTES), limit=len(BYTES))
    assert stored.size_bytes == len(BYTES)
    assert stored.sha256 == hashlib.sha256(BYTES).hexdigest()
    with storage.local(stored.key) as path:
        assert path.read_bytes() == BYTES


def test_one_byte_too_many_is_refused_and_leaves_nothing(storage):
    with pytest.raises(TooLarge, match=rf"more than the {len(BYTES) - 1} bytes"):
        storage.put(io.BytesIO(BYTES), limit=len(BYTES) - 1)
    assert storage._files.find(storage._root) == []


def test_a_source_that_breaks_off_leaves_nothing(storage):
    class Broken(io.RawIOBase):
        sent = 0

        def read(self, size=-1):
            self.sent += 1
            if self.sent > 1:
                raise ConnectionResetError("gone")
            return b"x" * 100

    with pytest.raises(ConnectionResetError, match="gone"):
        storage.put(Broken(), limit=1 << 20)
    assert storage._files.find(storage._root) == []


@pytest.mark.parametrize("broken", ["write", "close"])
def test_a_place_that_fails_while_it_is_written_keeps_nothing(storage, monkeypatch, broken):
    opened = storage._files.open

    def failing(*asked, **how):
        file = opened(*asked, **how)

        def fail(*_):
            monkeypatch.undo()
            raise OSError("no space left")

        monkeypatch.setattr(file, broken, fail)
        return file

    monkeypatch.setattr(storage._files, "open", failing)
    with pytest.raises(StorageUnavailable, match=r"cannot be stored at .* OSError: no space left"):
        storage.put(io.BytesIO(BYTES), limit=len(BYTES))
    assert storage._files.find(storage._root) == []


def test_what_is_deleted_is_gone_and_may_be_deleted_again(storage):
    key = storage.put(io.BytesIO(b"x"), limit=1).key
    storage.delete(key)
    storage.delete(key)
    with pytest.raises(NotFound, match=f"there is no upload {key}"), storage.local(key):
        pass


@pytest.mark.parametrize("key", ["../../../etc/passwd", "a" * 31, "A" * 32, "", "a" * 32 + "\n"])
def test_what_is_no_key_is_never_a_path(storage, key):
    with pytest.raises(NotFound, match="a key has 32 hexadecimal digits"), storage.local(key):
        pass


def test_keys_differ_for_the_same_bytes(storage):
    keys = {storage.put(io.BytesIO(b"same"), limit=4).key for _ in range(20)}
    assert len(keys) == 20


def test_uploads_never_take_the_last_of_a_disk(tmp_path, monkeypatch):
    """The database lies on the same disk, and without it nobody can even sign in."""
    usage = shutil.disk_usage(tmp_path)
    nearly_full = usage._replace(free=KEPT_FREE + 99)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: nearly_full)
    storage = Storage(str(tmp_path / "uploads"))
    with pytest.raises(StorageUnavailable, match="Remove uploads that are not needed"):
        storage.put(io.BytesIO(b"x"), limit=100)
    assert storage.put(io.BytesIO(b"x"), limit=99).size_bytes == 1


def test_a_place_that_no_driver_knows_is_refused():
    with pytest.raises(BadInput, match="give a folder or a URL that fsspec knows"):
        Storage("gopher://somewhere/uploads")


def test_a_place_that_cannot_be_written_is_nobodys_fault(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StorageUnavailable, match="uploads cannot be stored at"):
        Storage(str(tmp_path / "file" / "up"))
