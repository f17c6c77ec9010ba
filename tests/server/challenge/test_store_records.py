"""Names that are the same, text that can be shown, and secrets of which only a hash is kept."""

from __future__ import annotations

import hashlib
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.challenge.small_challenge import SAME
from tronie.errors import BadInput
from tronie.server.challenge import store_records as records


@pytest.mark.parametrize(("one", "other"), SAME)
def test_names_that_look_the_same_have_one_key(one, other):
    assert records.name_key(one) == records.name_key(other)


@pytest.mark.parametrize(("one", "other"), [("Acme", "Acme 2"), ("Résumé", "Resume"), ("a", "b")])
def test_other_names_have_other_keys(one, other):
    assert records.name_key(one) != records.name_key(other)


@given(st.text(max_size=20))
def test_a_key_is_its_own_key_and_knows_no_case(name):
    key = records.name_key(name)
    assert records.name_key(key) == key
    assert records.name_key(unicodedata.normalize("NFD", name)) == key


def test_a_name_is_shown_composed_and_with_single_spaces():
    assert records.clean_name("  Z\u0075\u0308rich \n University ", what="x") == "Zürich University"


@pytest.mark.parametrize(
    "name",
    [
        "",
        "   ",
        "a\0b",
        "a\x1b[31m",
        "zero\u200bwidth",
        "\u202eevil",
        "x" * 201,
        "\ud800",
        "\ufe0f",
    ],
    ids=ascii,
)
def test_a_name_that_cannot_be_seen_is_refused(name):
    with pytest.raises(BadInput, match="a team must have 1 to 200 printable characters; got "):
        records.clean_name(name, what="a team")


@pytest.mark.parametrize("email", ["a@b", "o'brien+x@example.org", "ü@bücher.example"])
def test_an_address_is_a_name_at_a_domain(email):
    assert records.clean_email(f" {email} ") == email


@pytest.mark.parametrize("email", ["a", "@", "a@", "@b", "a@b@c", "a b@c", "a@b c"])
def test_what_has_not_the_form_of_an_address_is_refused(email):
    with pytest.raises(BadInput, match="an e-mail address has the form name@domain; got "):
        records.clean_email(email)


def test_free_text_keeps_its_lines():
    assert records.clean_text("\r\n a\tb\r\nc\n", what="x", most=9) == "a b\nc"
    assert records.clean_text("", what="x", most=9) == ""


@pytest.mark.parametrize("text", ["a\0", "\x1b[0m", "\ud800", "a" * 11], ids=ascii)
def test_free_text_that_cannot_be_shown_is_refused(text):
    with pytest.raises(BadInput, match="a note must have at most 10 printable characters; got "):
        records.clean_text(text, what="a note", most=10)


@given(st.text(max_size=50))
def test_what_is_shown_is_one_short_printable_line(text):
    line = records.shown(text, most=10)
    assert len(line) <= 10
    assert line.isprintable()


@given(st.text(st.characters(exclude_categories=["C", "Z"]), max_size=10))
def test_printable_words_are_shown_as_they_are(text):
    assert records.shown(text, most=30) == unicodedata.normalize("NFC", text)


def test_secrets_are_long_never_twice_and_kept_as_their_hash():
    secrets = {records.new_secret() for _ in range(100)}
    assert len(secrets) == 100
    assert {len(secret) for secret in secrets} == {43}  # 256 bits, 6 a letter
    assert records.digest("abc") == hashlib.sha256(b"abc").hexdigest()
    assert records.digest("\ud800") != records.digest("?")


def test_an_id_is_128_bits_in_hexadecimal():
    assert records.is_id(records.new_id())
    for text in ("", "0" * 31, "0" * 33, "A" * 32, "0" * 31 + "\n", "0" * 32 + "\n", "x" * 32):
        assert not records.is_id(text)


@pytest.mark.parametrize("text", ["", "0" * 63, "G" * 64, "A" * 64])
def test_a_checksum_of_another_form_is_refused(text):
    with pytest.raises(BadInput, match="sha256 must be 64 hexadecimal digits in lower case; got "):
        records.check_sha256(text)
