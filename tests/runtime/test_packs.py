"""Packs as the field ships them, and packs made to do harm."""

from __future__ import annotations

import io
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest

from toys import toy_constants, toy_detector, toy_embedder
from tronie.errors import BadInput, LicenseNotAccepted, NotFound, ZooError
from tronie.runtime import packs, zoo
from tronie.runtime.packs import pull_pack


@pytest.fixture
def models(tmp_path, cache_home):
    """Bytes of a detector, a recognizer, and a model that is neither."""
    folder = tmp_path / "made"
    folder.mkdir()
    odd = {"points": np.zeros((1, 106, 2), np.float32)}
    return {
        "det": toy_detector(folder / "a.onnx").read_bytes(),
        "rec": toy_embedder(folder / "b.onnx").read_bytes(),
        "odd": toy_constants(folder / "c.onnx", odd).read_bytes(),
    }


def zipped(files, *, method=zipfile.ZIP_DEFLATED) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as pack:
        for name, data in files.items():
            pack.writestr(name, data)
    return stream.getvalue()


def pull(path, **options):
    return pull_pack(path, **{"accept_license": True, **options})


def write(path, data):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def names(pulled):
    return [file.name for file in pulled.kept]


# --- packs as they are --------------------------------------------------------------------


def test_a_folder_becomes_models_of_its_name(models, tmp_path):
    for name in ("det", "rec"):
        write(tmp_path / "buffalo_l" / f"{name}.onnx", models[name])
    pulled = pull(tmp_path / "buffalo_l")
    assert names(pulled) == ["buffalo_l/det", "buffalo_l/rec"] == list(zoo.registered())
    assert [file.contract.kind for file in pulled.kept] == ["detector", "embedder"]
    assert pulled.left == ()
    assert zoo.find("buffalo_l/rec") == pulled.kept[1]


def test_a_model_one_folder_down_is_found(models, tmp_path):
    write(tmp_path / "pack" / "inner" / "det.onnx", models["det"])
    write(tmp_path / "pack" / "README.md", b"text")
    assert names(pull(tmp_path / "pack")) == ["pack/det"]


def test_a_zip_and_the_zips_in_it_are_read(models, tmp_path):
    inner = zipped({"antelope/rec.onnx": models["rec"]})
    outer = zipped({"det.ONNX": models["det"], "more.zip": inner, "notes.txt": b"x"})
    pulled = pull(write(tmp_path / "antelopev2.zip", outer))
    assert names(pulled) == ["antelopev2/det", "antelopev2/rec"]


def test_a_single_file_is_kept_under_its_own_name(models, tmp_path):
    path = write(tmp_path / "mine.onnx", models["rec"])
    assert names(pull(path)) == ["mine"]
    assert names(pull(path, name="yours")) == ["yours"]


def test_a_pack_may_be_given_a_name(models, tmp_path):
    path = write(tmp_path / "x.zip", zipped({"det.onnx": models["det"]}))
    assert names(pull(path, name="my pack")) == ["my pack/det"]


def test_the_current_folder_has_a_name(models, tmp_path, monkeypatch):
    write(tmp_path / "here" / "det.onnx", models["det"])
    monkeypatch.chdir(tmp_path / "here")
    assert names(pull(Path())) == ["here/det"]


def test_what_is_no_detector_and_no_embedder_is_named(models, tmp_path):
    files = {"2d106det.onnx": models["odd"], "det.onnx": models["det"], "torn.onnx": b"text"}
    pulled = pull(write(tmp_path / "pack.zip", zipped(files)))
    assert names(pulled) == ["pack/det"]
    assert len(pulled.left) == 2
    assert pulled.left[0].startswith("2d106det.onnx was left out: model pack/2d106det is neither")
    assert pulled.left[1].startswith("torn.onnx was left out: pack/torn is no ONNX")


def test_of_two_files_of_one_name_the_second_is_named(models, tmp_path):
    files = {"a/net.onnx": models["det"], "b/net.onnx": models["rec"]}
    pulled = pull(write(tmp_path / "pack.zip", zipped(files)))
    assert names(pulled) == ["pack/net"]
    assert pulled.left == ("b/net.onnx was left out: pack/net is kept already",)


def test_a_file_of_the_catalogue_has_the_contract_of_the_catalogue(toy_catalog, tmp_path):
    path = write(tmp_path / "pack" / "renamed.onnx", toy_catalog.data)
    (file,) = pull(path.parent).kept
    assert file.contract.mean == (1.0, 2.0, 3.0)
    assert file.contract.assumed == ()


def test_a_pack_pulled_twice_is_there_once(models, tmp_path):
    path = write(tmp_path / "pack.zip", zipped({"det.onnx": models["det"]}))
    assert pull(path) == pull(path)


def test_the_licence_is_asked_for_once(models, tmp_path):
    path = write(tmp_path / "pack.zip", zipped({"det.onnx": models["det"]}))
    words = "pack comes under: not stated in the pack; InsightFace's packs .* pull .*pack.zip --acc"
    with pytest.raises(LicenseNotAccepted, match=words):
        pull_pack(path)
    assert zoo.registered() == ()
    pull_pack(path, accept_license=True)
    assert names(pull_pack(path)) == ["pack/det"]


def test_a_file_of_the_catalogue_comes_under_its_own_licence(toy_catalog, tmp_path, files_of):
    """No pack's terms are asked for where every file is known, and free."""
    path = write(tmp_path / "pack" / "renamed.onnx", toy_catalog.data)
    (file,) = pull_pack(path.parent).kept
    assert file.license == "MIT"
    assert not (zoo.home() / "licenses").exists()


def test_a_known_file_that_is_restricted_asks_under_its_own_name(toy_catalog, tmp_path, models):
    toy_catalog.add("toy-face", guarded=True)
    folder = write(tmp_path / "pack" / "b.onnx", toy_catalog.data).parent
    with pytest.raises(LicenseNotAccepted, match="toy-face comes under: MIT, research only"):
        pull_pack(folder)
    write(folder / "a.onnx", models["det"])
    pull_pack(folder, accept_license=True)
    found = zoo.pull("toy-face")  # accepted already
    assert found.license == "MIT"


def test_nothing_is_kept_before_every_licence_is_accepted(toy_catalog, tmp_path, models):
    folder = write(tmp_path / "pack" / "a.onnx", toy_catalog.data).parent
    write(folder / "b.onnx", models["det"])
    with pytest.raises(LicenseNotAccepted, match="pack comes under: not stated in the pack"):
        pull_pack(folder)
    assert zoo.registered() == ()


# --- packs that do harm -------------------------------------------------------------------


@pytest.mark.parametrize(
    "member", ["../../det.onnx", "/etc/det.onnx", "a/../../../det.onnx", "C:\\det.onnx"]
)
def test_a_path_in_a_zip_leads_nowhere(member, models, tmp_path, cache_home, files_of):
    path = write(tmp_path / "pack.zip", zipped({member: models["det"], "rec.onnx": models["rec"]}))
    before = set(files_of(tmp_path))
    pull(path)
    made = set(files_of(tmp_path)) - before
    assert made
    assert all(name.startswith(("cache/models/pack/", "cache/licenses/pack.json")) for name in made)


@pytest.mark.parametrize(
    "member", ["..onnx", ".hidden.onnx", "a/...onnx", "..\\x.onnx", "a\tb.onnx"]
)
def test_a_file_whose_name_cannot_be_a_model_is_named(member, models, tmp_path):
    files = {member: models["det"], "rec.onnx": models["rec"]}
    pulled = pull(write(tmp_path / "pack.zip", zipped(files)))
    assert names(pulled) == ["pack/rec"]
    assert "cannot name a model" in pulled.left[0]


@pytest.mark.parametrize("name", ["../x", "/x", "a/b", ".x", "x.onnx/../.."])
def test_a_pack_cannot_be_given_a_hostile_name(name, models, tmp_path, cache_home):
    path = write(tmp_path / "pack.zip", zipped({"det.onnx": models["det"]}))
    with pytest.raises(BadInput, match="cannot name a model"):
        pull(path, name=name)
    assert not cache_home.exists()


@pytest.mark.parametrize("suffix", ["onnx", "zip"])
def test_a_bomb_is_refused_before_it_is_unpacked(suffix, tmp_path, cache_home, monkeypatch):
    bomb = zipped({f"bomb.{suffix}": b"\0" * 20_000_000})
    path = write(tmp_path / "pack.zip", bomb)

    def read(*_):
        raise AssertionError("the bomb was unpacked")

    monkeypatch.setattr(zipfile.ZipFile, "read", read)
    words = rf"pack\.zip: bomb\.{suffix} would unpack \d+ bytes to 20000000; refused"
    with pytest.raises(ZooError, match=words):
        pull(path)


def test_a_file_or_member_over_the_limit_is_refused(models, tmp_path, monkeypatch):
    large = write(tmp_path / "large.zip", zipped({"n.onnx": os.urandom(9000)}))
    loose = write(tmp_path / "pack" / "n.onnx", os.urandom(9000)).parent
    small = write(tmp_path / "small.zip", zipped({"n.onnx": bytes(9000)}))
    monkeypatch.setattr(packs, "MAX_FILE_BYTES", 8999)
    with pytest.raises(ZooError, match=r"large\.zip has more than 8999 bytes; refused"):
        pull(large)
    with pytest.raises(ZooError, match=r"pack/n\.onnx has more than 8999 bytes; refused"):
        pull(loose)
    with pytest.raises(ZooError, match=r"n\.onnx would unpack \d+ bytes to 9000; refused"):
        pull(small)


def test_a_zip_that_holds_itself_ten_deep_is_refused(models, tmp_path):
    data = zipped({"det.onnx": models["det"]})
    for _ in range(10):
        data = zipped({"inner.zip": data}, method=zipfile.ZIP_STORED)
    with pytest.raises(ZooError, match="lies deeper than 3 zips; refused"):
        pull(write(tmp_path / "pack.zip", data))


def test_more_models_than_a_pack_can_have_are_refused(models, tmp_path, monkeypatch):
    monkeypatch.setattr(packs, "MAX_FILES", 3)
    files = {f"det{n}.onnx": models["det"] for n in range(5)}
    with pytest.raises(ZooError, match="holds more than 3 models; refused"):
        pull(write(tmp_path / "pack.zip", zipped(files)))


def test_members_of_every_kind_and_depth_are_counted(models, tmp_path, monkeypatch):
    monkeypatch.setattr(packs, "MAX_MEMBERS", 6)
    inner = zipped({f"{n}.txt": b"" for n in range(4)})
    fits = zipped({"det.onnx": models["det"], "x.zip": inner})
    over = zipped({"det.onnx": models["det"], "readme.txt": b"", "x.zip": inner})
    assert names(pull(write(tmp_path / "fits.zip", fits))) == ["fits/det"]
    with pytest.raises(ZooError, match=r"x\.zip: more than 6 files lie in the zip; refused"):
        pull(write(tmp_path / "over.zip", over))


def test_the_sum_of_what_is_unpacked_is_bounded(models, tmp_path, monkeypatch):
    size = len(models["det"])
    monkeypatch.setattr(packs, "MAX_UNPACKED_BYTES", 2 * size)
    files = {f"{n}.onnx": models["det"] for n in range(3)}
    path = write(tmp_path / "pack.zip", zipped(files))
    with pytest.raises(ZooError, match=rf"would unpack to more than {2 * size} bytes; refused"):
        pull(path)
    assert zoo.registered() == ()


def damaged_member(models):
    data = bytearray(zipped({"det.onnx": models["det"]}))
    data[60:80] = bytes(20)
    return bytes(data)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda _: b"text", r"pack\.zip is no readable zip: "),
        (lambda _: b"", r"pack\.zip is no readable zip: "),
        (lambda m: zipped({"det.onnx": m["det"]})[:-30], r"pack\.zip is no readable zip: "),
        (damaged_member, r"pack\.zip: det\.onnx cannot be read: "),
        (lambda _: zipped({"x.zip": b"text"}), r"pack\.zip/x\.zip is no readable zip: "),
        (lambda _: zipped({"readme.txt": b"text"}), "holds no detector and no embedder$"),
        (lambda m: zipped({"odd.onnx": m["odd"]}), "holds no detector and no embedder; odd.onnx"),
    ],
    ids=["text", "empty", "cut off", "damaged", "inner text", "no model", "no usable model"],
)
def test_a_zip_without_a_usable_model_is_refused(make, words, models, tmp_path):
    with pytest.raises(ZooError, match=words):
        pull(write(tmp_path / "pack.zip", make(models)))
    assert zoo.registered() == ()


def test_no_damaged_byte_of_a_zip_gives_anything_but_an_error_of_ours(models, tmp_path):
    """Names, sizes, methods and checksums of the two directories, one byte at a time."""
    whole = zipped({"det.onnx": models["det"]})
    rng = np.random.default_rng(5)
    places = [*range(30), *range(len(whole) - 80, len(whole))]
    for place in places:
        data = bytearray(whole)
        data[place] ^= int(rng.integers(1, 256))
        try:
            pull(write(tmp_path / "pack.zip", bytes(data)), name=f"pack{place}")
        except ZooError:
            continue


def test_a_pipe_among_the_files_is_not_waited_for(models, tmp_path):
    write(tmp_path / "pack" / "det.onnx", models["det"])
    os.mkfifo(tmp_path / "pack" / "pipe.onnx")
    assert names(pull(tmp_path / "pack")) == ["pack/det"]


def test_a_missing_pack_is_refused(tmp_path, cache_home):
    with pytest.raises(NotFound, match=r"no model pack at .*absent; give a folder of .onnx files"):
        pull(tmp_path / "absent")


def test_a_pack_under_the_name_of_a_model_is_refused(models, tmp_path):
    pull(write(tmp_path / "mine.onnx", models["rec"]))
    path = write(tmp_path / "pack.zip", zipped({"det.onnx": models["det"]}))
    with pytest.raises(ZooError, match="mine is a model, and no pack can have its name"):
        pull(path, name="mine")
