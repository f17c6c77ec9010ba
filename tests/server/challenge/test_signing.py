"""Signed results: what was signed is accepted, and nothing else."""

import base64
import json
import stat

import pytest

pytest.importorskip("cryptography")

from tronie.errors import BadFile, BadInput
from tronie.server.challenge.signing import VARIABLE, Signer, open_signer, verify

pytestmark = pytest.mark.server
DOCUMENT = {"track": "mfr21-a", "values": {"score": 0.8125, "mask": 1e-7}, "name": "Zürich"}


def signed():
    return json.loads(json.dumps(Signer(b"\1" * 32).sign(DOCUMENT)))


def test_what_was_signed_is_accepted_after_a_trip_through_a_file():
    assert verify(signed(), public_key=Signer(b"\1" * 32).public_key)


def test_the_known_answer_of_rfc_8032_is_reproduced():
    """Test 1 of section 7.1: the public key of that secret."""
    seed = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
    want = bytes.fromhex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a")
    assert base64.b64decode(Signer(seed).public_key) == want


@pytest.mark.parametrize(
    "change",
    [
        lambda s: s["document"]["values"].update(score=0.9),
        lambda s: s["document"].update(more=1),
        lambda s: s["document"].pop("name"),
        lambda s: s.update(signature=s["signature"][:-4] + "AAA="),
        lambda s: s.update(algorithm="none"),
    ],
)
def test_what_was_changed_is_not(change):
    forged = signed()
    change(forged)
    assert not verify(forged, public_key=Signer(b"\1" * 32).public_key)


def test_a_key_that_a_forger_wrote_into_the_file_counts_for_nothing():
    forged = Signer(b"\2" * 32).sign(DOCUMENT)
    assert not verify(forged, public_key=Signer(b"\1" * 32).public_key)


def test_a_file_of_another_form_is_told_apart():
    with pytest.raises(BadFile, match="has document, algorithm, public_key and signature"):
        verify({"document": {}}, public_key=Signer(b"\1" * 32).public_key)


def test_a_number_that_json_lacks_is_not_signed():
    with pytest.raises(BadInput, match="plain JSON"):
        Signer(b"\1" * 32).sign({"score": float("nan")})


def test_a_key_is_made_once_and_only_its_owner_may_read_it(tmp_path, monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)
    first = open_signer(tmp_path / "key").public_key
    assert open_signer(tmp_path / "key").public_key == first
    assert stat.S_IMODE((tmp_path / "key").stat().st_mode) == 0o600


def test_a_damaged_key_is_not_replaced(tmp_path, monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)
    (tmp_path / "key").write_bytes(b"short")
    with pytest.raises(BadInput, match=r"must hold a key of 32 bytes; got 5\. Restore it"):
        open_signer(tmp_path / "key")


def test_a_key_that_cannot_be_read_is_refused(tmp_path, monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)
    (tmp_path / "key").mkdir()
    with pytest.raises(BadInput, match=r"key cannot be written and read: Is a directory"):
        open_signer(tmp_path / "key")


def test_a_key_from_the_environment_goes_before_the_file(tmp_path, monkeypatch):
    monkeypatch.setenv(VARIABLE, "01" * 32)
    assert open_signer(tmp_path / "key").public_key == Signer(b"\1" * 32).public_key
    assert not (tmp_path / "key").exists()
    monkeypatch.setenv(VARIABLE, "zz")
    with pytest.raises(BadInput, match="64 hexadecimal digits; got 2 others"):
        open_signer(tmp_path / "key")
