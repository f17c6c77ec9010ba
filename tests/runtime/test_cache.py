"""A model's folder is whole or not there, whoever dies or comes second; names stay inside."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tronie.errors import BadFile, BadInput, LicenseNotAccepted, NotFound, ZooError
from tronie.runtime import cache
from working_tree import environment

DATA = b"not a model, but bytes"
SHA = hashlib.sha256(DATA).hexdigest()
TOLD = {"sha256": SHA, "license": "MIT"}

HOSTILE = [
    "", ".", "..", "../x", "../../etc/passwd", "/etc/passwd", "/x", "a/../b", "a/..", "a/b/c",
    "a//b", "a/", "/a", ".part-1", "pack/.hidden", "a\\b", "..\\x", "a\nb", "a\0b", "~root",
    "-rf", "x.onnx", "pack/model.onnx", "manifest.json", "a" * 101, "a:b", "$HOME", "a;b", "a|b",
]  # fmt: skip


# --- where --------------------------------------------------------------------------------


def test_the_home_is_the_one_that_is_asked_for(monkeypatch, tmp_path):
    monkeypatch.setenv("TRONIE_HOME", str(tmp_path / "a"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "b"))
    assert cache.home() == tmp_path / "a"
    monkeypatch.delenv("TRONIE_HOME")
    assert cache.home() == tmp_path / "b" / "tronie"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "c"))
    assert cache.home() == tmp_path / "c" / ".cache" / "tronie"


@pytest.mark.parametrize("name", ["yunet-2023mar", "buffalo_l/det_10g", "Größe 1 (b)", "x.v2"])
def test_a_name_is_one_word_or_two(name, cache_home):
    assert cache.is_name(name)
    assert cache.folder_of(name) == cache_home / "models" / name


@pytest.mark.parametrize("name", HOSTILE)
def test_nothing_that_could_leave_the_folder_is_a_name(name, cache_home, files_of):
    assert not cache.is_here(name)
    for act in (cache.folder_of, cache.manifest, cache.verify):
        with pytest.raises(BadInput, match="cannot name a model: use letters, digits"):
            act(name)
    with pytest.raises(BadInput, match="cannot name a model"):
        cache.store(name, DATA, TOLD)
    assert files_of(cache_home.parent) == []


# --- storing ------------------------------------------------------------------------------


def test_a_stored_model_is_listed_and_verified(cache_home, files_of):
    told = cache.store("pack/face", DATA, TOLD)
    assert told["file_sha256"] == SHA
    assert cache.registered() == ("pack/face",)
    assert cache.is_here("pack/face")
    assert cache.verify("pack/face")
    assert files_of(cache_home) == [
        "models/pack/face/manifest.json",
        "models/pack/face/model.onnx",
    ]


def test_an_empty_cache_lists_nothing(cache_home):
    assert cache.registered() == ()
    with pytest.raises(NotFound, match=r"model face is not in .*; run `tronie models pull face`"):
        cache.verify("face")


def test_a_folder_obeys_the_umask(cache_home):
    before = os.umask(0o022)
    try:
        cache.store("face", DATA, TOLD)
    finally:
        os.umask(before)
    assert (cache_home / "models" / "face").stat().st_mode & 0o777 == 0o755


def test_storing_the_same_model_again_changes_nothing(cache_home, files_of):
    first = cache.store("face", DATA, TOLD)
    assert cache.store("face", DATA, TOLD) == first
    assert len(files_of(cache_home)) == 2


def test_another_model_of_the_same_name_is_refused_and_the_first_stays(cache_home):
    cache.store("face", DATA, TOLD)
    with pytest.raises(ZooError, match=r"there is another model face .*or choose another name"):
        cache.store("face", b"other", {"sha256": "1" * 64, "license": "MIT"})
    assert cache.verify("face")
    assert cache.manifest("face")["sha256"] == SHA


def test_a_pack_is_never_removed_for_a_model_of_its_name(cache_home):
    cache.store("buffalo/face", DATA, TOLD)
    with pytest.raises(ZooError, match=r"buffalo is in the way .* is it a pack?"):
        cache.store("buffalo", DATA, TOLD)
    assert cache.registered() == ("buffalo/face",)


def test_no_pack_may_have_the_name_of_a_model(cache_home):
    cache.store("buffalo", DATA, TOLD)
    with pytest.raises(ZooError, match="buffalo is a model, and no pack can have its name"):
        cache.store("buffalo/face", DATA, TOLD)
    assert cache.registered() == ("buffalo",)


@pytest.mark.parametrize("method", ["write_bytes", "write_text", "rename"])
def test_a_full_disk_leaves_nothing_behind(method, cache_home, monkeypatch, files_of):
    def full(self, *_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, method, full)
    with pytest.raises(ZooError, match=r"face.*No space left on device"):
        cache.store("face", DATA, TOLD)
    assert files_of(cache_home) == []
    assert [p.name for p in (cache_home / "models").iterdir()] == []


def test_a_home_that_is_a_file_is_refused(tmp_path, monkeypatch):
    (tmp_path / "home").write_text("")
    monkeypatch.setenv("TRONIE_HOME", str(tmp_path / "home"))
    with pytest.raises(ZooError, match=r"cannot write .*home/models/face: "):
        cache.store("face", DATA, TOLD)
    with pytest.raises(ZooError, match=r"cannot write .*home/licenses/face\.json: "):
        cache.require_license("face", "terms", needed=True, accepted=True)


# --- changed, damaged ---------------------------------------------------------------------


def test_a_changed_file_is_not_verified(cache_home):
    cache.store("face", DATA, TOLD)
    file = cache_home / "models" / "face" / "model.onnx"
    file.write_bytes(DATA + b"!")
    assert not cache.verify("face")
    file.unlink()
    assert not cache.verify("face")


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", "3", "null", '{"sha256": "x"}', '{"sha256":1,"file_sha256":2,"license":3}'],
)
def test_a_damaged_manifest_is_refused_with_what_to_do(content, cache_home):
    cache.store("face", DATA, TOLD)
    (cache_home / "models" / "face" / "manifest.json").write_text(content)
    with pytest.raises(BadFile, match=r"manifest\.json is damaged .*remove its folder and pull"):
        cache.verify("face")


# --- two at once, and killed ones ----------------------------------------------------------

CHILD = """
import sys
from pathlib import Path
from tronie.runtime import cache
{patch}
print("ready", flush=True)
sys.stdin.readline()
cache.store("face", {data!r}, {told!r})
print("done", flush=True)
"""


def child(*, patch=""):
    return subprocess.Popen(
        [sys.executable, "-c", CHILD.format(patch=patch, data=DATA, told=TOLD)],
        env=environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_of_processes_that_store_at_once_all_succeed_and_one_model_is_there(cache_home, files_of):
    children = [child() for _ in range(3)]
    for process in children:
        assert process.stdout.readline() == "ready\n"
    for process in children:
        process.stdin.write("\n")
        process.stdin.flush()
    for process in children:
        out, err = process.communicate(timeout=60)
        assert (out, err, process.returncode) == ("done\n", "", 0)
    assert files_of(cache_home) == ["models/face/manifest.json", "models/face/model.onnx"]
    assert cache.verify("face")
    assert [p.name for p in (cache_home / "models").iterdir()] == ["face"]


STALL = """
def stalls(self, text):
    print("half", flush=True)
    sys.stdin.readline()
Path.write_text = stalls
"""


def test_what_a_killed_process_leaves_is_never_listed_and_swept_a_day_later(cache_home):
    process = child(patch=STALL)
    process.stdout.readline()
    process.stdin.write("\n")
    process.stdin.flush()
    assert process.stdout.readline() == "half\n"
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)
    (part,) = (cache_home / "models").iterdir()
    assert part.name.startswith(".part-")
    assert [f.name for f in part.iterdir()] == ["model.onnx"]  # half of it was there
    assert cache.registered() == ()
    assert not cache.is_here("face")

    cache.store("other", DATA, TOLD)
    assert part.is_dir()  # its process might be alive
    day_old = time.time() - cache.SWEEP_AFTER_S - 60
    os.utime(part, (day_old, day_old))
    cache.store("face", DATA, TOLD)
    assert not part.exists()
    assert cache.registered() == ("face", "other")


def test_a_part_that_vanishes_while_it_is_swept_does_no_harm(cache_home):
    """Another process finished between the listing and the look."""
    (cache_home / "models").mkdir(parents=True)
    (cache_home / "models" / ".part-gone").symlink_to(cache_home / "nowhere")
    cache.store("face", DATA, TOLD)
    assert cache.is_here("face")


# --- licences -----------------------------------------------------------------------------


def ask(terms="research only", *, needed=True, accepted=False, again=""):
    cache.require_license("guarded", terms, needed=needed, accepted=accepted, again=again)


def test_a_licence_is_accepted_once_and_remembered(cache_home):
    words = "guarded comes under: research only.*`tronie models pull guarded --accept-license`"
    with pytest.raises(LicenseNotAccepted, match=words):
        ask()
    ask(accepted=True)
    ask()
    told = json.loads((cache_home / "licenses" / "guarded.json").read_text())
    assert told["terms"] == "research only"


def test_of_forty_acceptances_at_once_none_is_lost(cache_home):
    names = [f"pack/{n}" if n % 2 else f"model {n}" for n in range(40)]

    def accept(name):
        cache.require_license(name, "research only", needed=True, accepted=True)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(accept, names))
    for name in names:
        cache.require_license(name, "research only", needed=True, accepted=False)


def test_an_acceptance_cannot_be_written_outside(cache_home):
    with pytest.raises(BadInput, match="cannot name a model"):
        cache.require_license("../x", "research only", needed=True, accepted=True)
    assert not cache_home.exists()


def test_the_command_to_repeat_names_what_was_asked_for(cache_home):
    with pytest.raises(LicenseNotAccepted, match=r"`tronie models pull packs/a.zip --accept-lic"):
        ask(again="packs/a.zip")


def test_changed_terms_have_to_be_accepted_anew(cache_home):
    ask(accepted=True)
    with pytest.raises(LicenseNotAccepted, match="guarded comes under: no use at all"):
        ask("no use at all")


def test_a_free_licence_writes_nothing(cache_home, files_of):
    ask(needed=False)
    ask(needed=False, accepted=True)
    assert files_of(cache_home) == []


@pytest.mark.parametrize("content", ["{", "[]", '{"guarded": 3}', "\\xff"])
def test_a_damaged_acceptance_is_refused(content, cache_home):
    (cache_home / "licenses").mkdir(parents=True)
    (cache_home / "licenses" / "guarded.json").write_text(content)
    with pytest.raises(BadFile, match=r"guarded\.json is damaged .*; remove it and accept again"):
        ask()
