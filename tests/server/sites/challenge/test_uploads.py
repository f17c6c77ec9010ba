"""Uploads: bounds, broken forms, what comes before the file, what is left after a refusal."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

pytest.importorskip("fastapi", reason="needs the serve extra")

from server.sites.challenge.visiting import LIMIT, TRACK
from tronie.server import http
from tronie.server.sites.challenge import uploads

pytestmark = pytest.mark.server
KIND = "multipart/form-data; boundary=edge"


def part(head: str, body: bytes = b"") -> bytes:
    return f"--edge\r\nContent-Disposition: form-data; {head}\r\n\r\n".encode() + body + b"\r\n"


def file_part(body: bytes = b"x" * 10, name: str = "a.onnx") -> bytes:
    return part(f'name="file"; filename="{name}"', body)


END = b"--edge--\r\n"


@pytest.fixture
def team(challenge):
    challenge.account("one")
    return challenge.browser("one@example.org")


@pytest.fixture
def token(team):
    return part('name="form_token"', team.form_token("/team").encode())


def send(browser, content, *, kind=KIND, **headers):
    told = {"content-type": kind, **headers}
    return browser.ask("POST", "/tracks/small/submit", content=content, headers=told)


def kept(challenge):
    return list(challenge.storage._files.find(challenge.storage._root))


def test_a_file_of_the_limit_is_taken_and_one_byte_more_is_not(challenge, team, token):
    assert send(team, token + file_part(b"x" * LIMIT) + END).status_code == 303
    assert len(kept(challenge)) == 1
    refused = send(team, token + file_part(b"x" * (LIMIT + 1)) + END)
    assert refused.status_code == 413
    assert "The file is larger than the 64 KiB that this track takes" in refused.text
    assert len(kept(challenge)) == 1
    assert len(challenge.store.submissions()) == 1


def test_a_body_that_says_it_is_far_too_large_is_refused_unread(challenge, team, monkeypatch):
    monkeypatch.setattr(http, "LINGER_SECONDS", 0.01)
    seen = []

    async def endless() -> AsyncIterator[bytes]:
        for _ in range(100):
            seen.append(1)
            yield b"x" * 2**20
            await asyncio.sleep(0)

    refused = send(team, endless(), **{"content-length": str(10 * 2**30)})
    assert refused.status_code == 413
    assert len(seen) < 10
    refused = send(team, endless())
    assert refused.status_code in (400, 413)


def test_a_slow_upload_is_ended_and_leaves_nothing(challenge, team, token, monkeypatch):
    monkeypatch.setattr(http, "LINGER_SECONDS", 0.01)
    asked = []

    def impatient(request, *, most_bytes, seconds):
        asked.append(seconds)
        http.allow_body(request, most_bytes=most_bytes, seconds=0.05)

    monkeypatch.setattr(uploads, "allow_body", impatient)

    async def slow() -> AsyncIterator[bytes]:
        yield token + file_part()[:-2]
        await asyncio.sleep(1)
        yield b"\r\n" + END

    refused = send(team, slow())
    assert refused.status_code == 408
    assert "send it again over a faster line" in refused.text
    assert asked == [challenge.settings.upload_seconds]
    assert (kept(challenge), challenge.store.submissions()) == ([], ())


@pytest.mark.parametrize(
    ("name", "content", "status", "sentence"),
    [
        ("no file", END, 400, "the upload has no file in it"),
        ("an empty file", file_part(b"") + END, 400, "the upload has no file in it"),
        ("no name", file_part(name="") + END, 400, "the upload has no file in it"),
        ("two files", file_part() + file_part() + END, 400, "one file is taken at a time"),
        ("broken", file_part() + b"--edgy\x00", 400, "the form is broken"),
        ("a long field", part('name="note"', b"n" * 5000) + END, 413, "at most 4096 bytes"),
        ("a long note", part('name="note"', b"n" * 600) + file_part() + END, 400, "the note must"),
        ("unseen", file_part(name="a\x1b.onnx") + END, 400, "cannot be seen (U+001B)"),
        ("many fields", part('name="a"') * 9 + file_part() + END, 400, "at most 8 fields"),
    ],
)
def test_a_form_that_cannot_be_taken_is_refused(
    challenge, team, token, name, content, status, sentence
):
    fields = b"" if name == "many fields" else token
    if name == "many fields":
        content = token + b"".join(part(f'name="f{n}"') for n in range(9)) + file_part() + END
    answer = send(team, fields + content)
    assert answer.status_code == status, name
    assert sentence in answer.text.replace("The ", "the ").replace("One ", "one ")
    assert challenge.store.submissions() == ()


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        ("application/x-www-form-urlencoded", 415),
        ("multipart/form-data", 415),
        ("multipart/form-data; boundary=" + "x" * 100, 415),
        ("text/plain", 415),
        ("", 415),
    ],
)
def test_what_is_no_form_of_parts_is_refused(team, kind, status):
    assert send(team, b"x", kind=kind).status_code == status


def test_a_file_before_its_token_is_refused_unread(challenge, team, token):
    assert send(team, file_part() + token + END).status_code == 403
    assert challenge.store.submissions() == ()


def test_many_headers_of_a_part_are_refused(team, token):
    many = b"--edge\r\n" + b"X-A: b\r\n" * 100 + b"\r\n\r\n" + END
    assert send(team, token + many).status_code == 400


def test_nothing_is_read_where_the_team_may_not(make_challenge):
    closed = replace(TRACK, per_day=1)
    challenge = make_challenge(tracks={"small": closed})
    user = challenge.account("one")
    challenge.submission(user)
    browser = challenge.browser("one@example.org")
    seen = []

    async def watched() -> AsyncIterator[bytes]:
        seen.append(1)
        yield b"x"

    assert send(browser, watched()).status_code == 429
    assert len(seen) <= 1, "but for what is read on so that the answer arrives"


def test_a_file_whose_slot_is_taken_meanwhile_is_thrown_away(challenge, team, monkeypatch):
    user = challenge.store.user_by_email("one@example.org")
    put = challenge.storage.put

    def late(source, *, limit):
        for _ in range(3):
            challenge.store.submit(
                organization_id=user.organization_id,
                user_id=user.id,
                track="small",
                per_day=3,
                now=challenge.clock(),
                file_name="a",
                note="",
                upload="0" * 32,
                sha256="0" * 64,
                size_bytes=1,
            )
        return put(source, limit=limit)

    monkeypatch.setattr(challenge.storage, "put", late)
    refused = team.upload(b"x" * 10)
    assert refused.status_code == 429
    assert kept(challenge) == []


def test_too_many_uploads_in_an_hour_are_refused(challenge, team):
    for _ in range(20):
        assert send(team, b"broken").status_code == 400
    refused = send(team, b"broken")
    assert (refused.status_code, "tried too often" in refused.text) == (429, True)
