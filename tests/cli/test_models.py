"""models: list, show, pull and verify, on a cache of toys."""

from __future__ import annotations

import json
import zipfile

import numpy as np
import pytest

import toys
from tronie.runtime import entries, zoo


@pytest.fixture
def pack(tmp_path):
    """A folder with a detector, an embedder, and a model that is neither."""
    folder = tmp_path / "toypack"
    folder.mkdir()
    toys.toy_detector(folder / "det.onnx")
    toys.toy_embedder(folder / "rec.onnx", dimension=16)
    toys.toy_constants(folder / "106.onnx", {"points": np.zeros((1, 106, 2))})
    return folder


@pytest.fixture
def pulled(cli_here, pack):
    """The same pack in the cache."""
    assert cli_here("models", "pull", pack, "--accept-license").code == 0


def test_list_tells_every_entry_with_its_licence(cli_here):
    rows = cli_here("models", "list", "--json").json_lines()
    assert [row["name"] for row in rows] == list(entries.entry_names())
    for row in rows:
        assert {"name", "kind", "license", "allowed_use", "sha256", "source", "here"} <= row.keys()
        assert (row["kind"] in ("detector", "embedder"), row["here"]) == (True, False)


def test_list_as_a_table_fits_and_says_what_is_here(cli_here, pulled):
    out = cli_here("models", "list").out
    assert max(map(len, out.splitlines())) <= 80
    assert out.splitlines()[0].split() == ["name", "kind", "licence", "allowed", "use", "here"]
    for name in (*entries.entry_names(), "toypack/det", "toypack/rec"):
        assert any(line.startswith(name) for line in out.splitlines()), name
    assert "pull" in out
    assert "by path" in out


def test_list_tells_what_was_pulled_from_elsewhere_too(cli_here, pulled):
    rows = {row["name"]: row for row in cli_here("models", "list", "--json").json_lines()}
    assert rows["toypack/det"]["kind"] == "detector"
    assert rows["toypack/rec"]["kind"] == "embedder"
    assert rows["toypack/rec"]["here"] is True


@pytest.mark.parametrize("name", ["sface-2021dec", "yunet-2023mar"])
def test_show_tells_one_entry(cli_here, name):
    (told,) = cli_here("models", "show", name, "--json").json_lines()
    assert (told["name"], told["contract"]["kind"]) == (name, told["kind"])
    assert len(told["sha256"]) == 64
    out = cli_here("models", "show", name).out
    assert out.startswith(f"{name} ({told['kind']}): ")
    for word in ("licence", "source", "SHA-256", "takes", "here"):
        assert f"\n{word}" in out


def test_show_holds_the_calibration_with_its_counts(cli_here):
    card = zoo.card_of_entry("sface-2021dec")
    (told,) = cli_here("models", "show", "sface-2021dec", "--json").json_lines()
    if card is None:
        assert told["calibration"] is None
        return
    assert told["calibration"]["impostor_pairs"] == card.impostor_pairs
    assert told["calibration"]["card"] == "the card that ships with tronie"
    assert [p["far"] for p in told["calibration"]["points"]] == [p["far"] for p in card.points]
    assert "false matches" in cli_here("models", "show", "sface-2021dec").out


def test_show_knows_what_was_pulled(cli_here, pulled):
    (told,) = cli_here("models", "show", "toypack/rec", "--json").json_lines()
    assert (told["kind"], told["contract"]["dimension"]) == ("embedder", 16)
    assert cli_here("models", "show", "toypack/rec").out.startswith("toypack/rec (embedder)")


def test_an_unknown_name_is_answered_with_the_nearest(cli_here):
    for verb in ("show", "pull"):
        ran = cli_here("models", verb, "sface-2021")
        assert (ran.code, ran.out) == (2, "")
        assert "Did you mean 'sface-2021dec'?" in ran.err
    assert cli_here("models", "show", "../../etc/passwd").code == 2


def test_a_pack_is_pulled_once_its_licence_is_accepted(cli_here, pack):
    ran = cli_here("models", "pull", pack)
    assert ran.code == 2
    assert "--accept-license" in ran.err
    assert zoo.registered() == ()
    ran = cli_here("models", "pull", pack, "--accept-license", "--json")
    assert ran.code == 0
    assert [list(row) for row in ran.json_lines()] == [["name", "path", "sha256", "license"]] * 2
    assert [row["name"] for row in ran.json_lines()] == ["toypack/det", "toypack/rec"]
    assert "106.onnx was left out: " in ran.err
    assert cli_here("models", "pull", pack).code == 0  # accepted once


def test_a_zip_of_models_can_be_named(cli_here, pack, tmp_path):
    with zipfile.ZipFile(tmp_path / "some.zip", "w") as archive:
        archive.write(pack / "det.onnx", "deep/det.onnx")
    words = ["--accept-license", "--name", "mine"]
    ran = cli_here("models", "pull", tmp_path / "some.zip", *words)
    assert ran.code == 0
    assert ran.out.startswith("mine/det is in ")
    assert zoo.registered() == ("mine/det",)


@pytest.mark.parametrize("name", ["../../evil", "/tmp/evil", "a/../../b", "..", "a//b"])
def test_no_name_leads_out_of_the_cache(cli_here, pack, name, tmp_path):
    ran = cli_here("models", "pull", pack, "--accept-license", "--name", name)
    assert ran.code == 2
    assert ran.err.count("\n") >= 1
    assert zoo.registered() == ()


def test_a_zip_cannot_lead_out_of_the_cache_either(cli_here, pack, tmp_path):
    with zipfile.ZipFile(tmp_path / "evil.zip", "w") as archive:
        for member in ("...onnx", "../../../outside.onnx", "/abs.onnx"):
            archive.write(pack / "det.onnx", member)
    before = sorted(tmp_path.rglob("*"))
    cli_here("models", "pull", tmp_path / "evil.zip", "--accept-license")
    assert sorted(tmp_path.rglob("*")) == before
    assert all(".." not in name for name in zoo.registered())


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["https://example.org/m.onnx"], "an address needs --sha256 with 64 hexadecimal digits"),
        (["https://example.org/m.onnx", "--sha256", "abc"], "got abc"),
        (["http://example.org/m.onnx", "--sha256", "0" * 64, "--accept-license"], "https"),
        (["https://example.org/m.onnx", "--sha256", "0" * 64], "--accept-license"),
        (["nowhere.zip"], "no entry 'nowhere.zip'"),
    ],
)
def test_what_cannot_be_pulled(cli_here, words, sentence):
    ran = cli_here("models", "pull", *words)
    assert (ran.code, ran.out) == (2, "")
    assert sentence in ran.err


def test_verify_finds_the_model_that_was_changed(cli_here, pulled):
    assert cli_here("models", "verify", "--json").json_lines() == [
        {"name": "toypack/det", "ok": True},
        {"name": "toypack/rec", "ok": True},
    ]
    changed = zoo.home() / "models" / "toypack" / "rec" / "model.onnx"
    changed.write_bytes(changed.read_bytes() + b"x")
    ran = cli_here("models", "verify")
    assert ran.code == 1
    assert ran.out.splitlines()[0] == "toypack/det: ok"
    assert ran.out.splitlines()[1].startswith("toypack/rec: CHANGED; remove ")
    assert cli_here("models", "verify", "toypack/det").code == 0


def test_verify_of_what_is_not_here(cli_here):
    ran = cli_here("models", "verify", "sface-2021dec")
    assert ran.code == 2
    assert "run `tronie models pull sface-2021dec`" in ran.err
    assert cli_here("models", "verify") == cli_here("models", "verify", "--json")  # an empty cache


def test_a_pulled_model_is_used_by_its_name(cli_here, pulled, toy, tmp_path):
    words = ["--model", "toypack/rec", "--detector", toy.detector, "--json"]
    ran = cli_here("embed", toy.photo(0), "--out", tmp_path / "E.npy", *words)
    assert ran.code == 0
    assert json.loads(ran.out)["model"] == "toypack/rec"


@pytest.mark.network
def test_the_default_pair_comes_from_the_public_index(cli_here):
    for name in ("yunet-2023mar", "sface-2021dec"):
        ran = cli_here("models", "pull", name, "--json")
        assert ran.code == 0
        assert f"fetching {name}" in ran.err
    assert [row["ok"] for row in cli_here("models", "verify", "--json").json_lines()] == [True] * 2
