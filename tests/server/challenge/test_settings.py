"""Settings: what a file may say, that secrets are not in it, and that every fault is named."""

from __future__ import annotations

import re

import pytest

from tronie.errors import BadFile, BadInput, NotFound
from tronie.server.challenge.settings import Settings, read_settings

SECRET = "s" * 40
WHOLE = """
public_url = "https://faces.example.org"
title = "Faces 2030"
tracks = ["mfr21-a"]
session_days = 3
board_seconds = 1
sign_up_open = false
secret_file = "form.secret"
[data]
mfr21-a = "mfr21"
[smtp]
host = "mail.example.org"
sender = "challenge@example.org"
user = "challenge"
password_file = "mail.secret"
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "form.secret").write_text(SECRET + "\n")
    (tmp_path / "mail.secret").write_text("pass\n")
    return tmp_path


def write(folder, text):
    file = folder / "challenge.toml"
    file.write_text(text)
    return file


def test_a_file_is_read_with_its_secrets_and_paths(folder):
    found = read_settings(write(folder, WHOLE), environment={})
    assert (found.title, found.tracks, found.secure) == ("Faces 2030", ("mfr21-a",), True)
    assert found.data == {"mfr21-a": folder / "mfr21"}
    assert found.secret == SECRET.encode()
    assert found.smtp is not None
    assert (found.smtp.password, found.smtp.port, found.smtp.security) == ("pass", 587, "starttls")
    assert found.link("/verify") == "https://faces.example.org/verify"
    assert found.known_hosts[0] == "faces.example.org"
    assert (found.session_lifetime.days, found.sign_up_open) == (3, False)


def test_the_environment_wins_over_files(folder):
    environment = {
        "TRONIE_CHALLENGE_SECRET": "e" * 32,
        "TRONIE_CHALLENGE_SMTP_PASSWORD": "from the environment",
        "TRONIE_CHALLENGE_DATABASE": "postgresql://somewhere/challenge",
    }
    found = read_settings(write(folder, WHOLE), environment=environment)
    assert found.secret == b"e" * 32
    assert found.smtp is not None
    assert found.smtp.password == "from the environment"
    assert found.database == "postgresql://somewhere/challenge"


def test_what_a_file_does_not_say_is_as_beside_it(folder):
    beside = Settings(storage="elsewhere", session_days=9, secret=b"b" * 32)
    found = read_settings(write(folder, WHOLE), environment={}, beside=beside)
    assert (found.storage, found.session_days) == ("elsewhere", 3)
    assert found.secret == SECRET.encode()


def test_no_secret_is_printed(folder):
    found = read_settings(write(folder, WHOLE), environment={})
    assert SECRET not in repr(found)
    assert "pass'" not in repr(found)


def test_a_secret_is_drawn_where_none_is_given():
    assert Settings().secret != Settings().secret
    assert len(Settings().secret) == 32


def test_every_fault_is_named_at_once(folder):
    text = """
public_url = "faces.example.org/path"
titel = "typo"
tracks = "mfr21-a"
session_days = "three"
sign_up_open = 1
board_seconds = true
secret_file = "nowhere"
hosts = ["Upper:80"]
smtp = {host = 5, security = "maybe"}
[data]
mfr21-a = 7
"""
    with pytest.raises(BadFile, match=r"challenge\.toml") as raised:
        read_settings(write(folder, text), environment={})
    for sentence in (
        "titel is no setting; there are: public_url, title",
        "tracks must be a list of texts; got 'mfr21-a'",
        "session_days must be a whole number; got 'three'",
        "sign_up_open must be true or false; got 1",
        "board_seconds must be a number; got True",
        "secret_file 'nowhere' cannot be read: FileNotFoundError",
        "smtp.host must be a text; got 5",
        "smtp.host is missing",
        "smtp.sender is missing",
        "data.mfr21-a must be the path of a folder; got 7",
        "public_url must be http:// or https://, a host and at most a port; got 'faces",
        "hosts must be names in lower case without a port; got 'Upper:80'",
    ):
        assert sentence in str(raised.value)


@pytest.mark.parametrize(
    ("told", "sentence"),
    [
        ({"secret": b"short"}, "the secret must have 32 bytes or more; got 5"),
        ({"title": "a\nb"}, "title must have 1 to 80 characters"),
        ({"uploads_at_once": 0}, "uploads_at_once must be 1 or more; got 0"),
        ({"data": {"x": "y"}}, "data.x is of no track of this challenge"),
        ({"public_url": "javascript://x"}, "public_url must be http:// or https://"),
    ],
)
def test_what_cannot_be_is_refused(told, sentence):
    with pytest.raises(BadInput, match=re.escape(sentence)):
        Settings(**told)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('security = "maybe"', "smtp.security must be starttls, tls or none; got 'maybe'"),
        ('user = "me"', "smtp.user needs a password; set password_file or TRONIE_CHALLENGE_SMTP"),
        ("password = 'x'", "smtp.password is no setting"),
    ],
)
def test_a_mail_server_that_cannot_be_used_is_refused(folder, text, sentence):
    file = write(folder, f"[smtp]\nhost = 'a'\nsender = 'b@example.org'\n{text}\n")
    with pytest.raises(BadFile, match=sentence):
        read_settings(file, environment={})


def test_a_file_that_is_not_there_or_no_toml_is_refused(folder):
    with pytest.raises(NotFound, match="there are no settings"):
        read_settings(folder / "nowhere.toml", environment={})
    with pytest.raises(BadFile, match="cannot be read"):
        read_settings(write(folder, "a = = b"), environment={})
