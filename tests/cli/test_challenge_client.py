"""The client against a toy challenge: what is sent where, and every answer that is no."""

from __future__ import annotations

import json
import socket

import pytest

from cli.toy_challenge import ID, TOKEN, submission, toy_challenge
from tronie.cli.challenge_client import PIECE, ChallengeRefused, ChallengeUnreachable, Client
from tronie.errors import BadInput


@pytest.fixture
def challenge():
    with toy_challenge() as running:
        yield running


@pytest.fixture
def client(challenge):
    return Client(challenge.address, TOKEN)


@pytest.fixture
def model(tmp_path):
    file = tmp_path / "my model.onnx"
    file.write_bytes(bytes(range(256)) * (3 * PIECE // 256) + b"end")
    return file


def test_a_file_is_sent_as_it_is_and_the_progress_told(challenge, client, model):
    challenge.will_answer(submission(), status=201)
    told = []
    made = client.submit(model, "mfr21-a", note="a & b = ü", sent=lambda *way: told.append(way))
    assert made["state"] == "received"
    ((method, path, asked, body),) = challenge.asked
    assert (method, path) == ("POST", "/api/v1/tracks/mfr21-a/submissions")
    assert asked == {"file_name": "my model.onnx", "note": "a & b = ü"}
    assert body == model.read_bytes()
    size = len(body)
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    assert {total for _, total in told} == {size}
    assert told[-1] == (size, size)
    (headers,) = challenge.headers
    assert headers["Authorization"] == f"Bearer {TOKEN}"
    assert headers["Content-Type"] == "application/octet-stream"


def test_a_submission_is_asked_for_and_put_on_the_board(challenge, client):
    challenge.will_answer(submission("scored"), submission("scored", public=True))
    assert client.submission(ID)["state"] == "scored"
    assert client.set_public(ID, True)["public"] is True
    assert [asked[:2] for asked in challenge.asked] == [
        ("GET", f"/api/v1/submissions/{ID}"),
        ("POST", f"/api/v1/submissions/{ID}/public"),
    ]
    assert json.loads(challenge.asked[1][3]) == {"public": True}


def test_a_challenge_below_a_path_is_asked_there(challenge):
    challenge.will_answer(submission())
    Client(f"{challenge.address}/faces/", TOKEN).submission("../a?b")
    assert challenge.asked[0][1] == "/faces/api/v1/submissions/..%2Fa%3Fb"


def test_a_name_that_is_no_text_is_sent_with_question_marks(challenge, client, tmp_path):
    file = tmp_path / "a\udcff.onnx"
    file.write_bytes(b"model")
    challenge.will_answer(submission())
    client.submit(file, "mfr21-a")
    assert challenge.asked[0][2]["file_name"] == "a?.onnx"


def test_a_refusal_is_told_in_the_challenges_own_words(challenge, client, model):
    challenge.will_refuse(429, "three were sent today; the next is possible at midnight")
    with pytest.raises(ChallengeRefused, match=r"^three were sent today; .* at midnight$") as told:
        client.submit(model, "mfr21-a")
    assert told.value.exit_code == 1


@pytest.mark.parametrize("body", [b"{}", b'{"error": "no"}', b'{"error": {"message": ""}}'])
def test_a_refusal_without_words_is_told_by_its_number(body, challenge, client):
    challenge.answers.append((503, body))
    with pytest.raises(ChallengeRefused, match=r"^the challenge answered 503$"):
        client.submission(ID)


@pytest.mark.parametrize("body", [b"<html>", b"[]", b"", b"\xff\xfe"])
def test_an_answer_of_something_else_is_refused(body, challenge, client):
    challenge.answers.append((200, body))
    told = r"^127.0.0.1:\d+ answered 200 with something that is no challenge's; check the address"
    with pytest.raises(ChallengeUnreachable, match=told):
        client.submission(ID)


def test_a_redirect_is_not_followed_with_the_token(challenge, client):
    challenge.answers.append((302, b""))
    with pytest.raises(ChallengeUnreachable, match="answered 302"):
        client.submission(ID)
    assert len(challenge.asked) == 1


def test_nobody_at_the_address_is_told(challenge, client, model):
    challenge.answers.append((0, None))
    with pytest.raises(ChallengeUnreachable, match="does not answer: RemoteDisconnected"):
        client.submit(model, "mfr21-a")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        nobody = f"http://127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(ChallengeUnreachable, match=rf"^{nobody} does not answer: Connection"):
            Client(nobody, TOKEN).submission(ID)


def test_an_answer_that_comes_before_all_was_sent_is_heard(tmp_path):
    """As of a server that refuses a file by its announced size and hangs up."""
    file = tmp_path / "large.onnx"
    with file.open("wb") as out:
        out.truncate(64 << 20)
    body = b'{"error": {"message": "the request is larger than 1 GiB; send less"}}'
    head = f"HTTP/1.1 413 Large\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        client = Client(f"http://127.0.0.1:{listening.getsockname()[1]}", TOKEN)

        def refuse(done, total):
            if done == PIECE:  # read, and not sent yet
                connection, _ = listening.accept()
                with connection:
                    connection.sendall(head + body)

        with pytest.raises(ChallengeRefused, match="larger than 1 GiB; send less"):
            client.submit(file, "mfr21-a", sent=refuse)


@pytest.mark.parametrize(
    "server",
    [
        "",
        "example.org",
        "ftp://example.org",
        "http://",
        "http://x:99999",
        "http://[::1",
        "http://x?a",
    ],
)
def test_an_address_that_is_none_is_refused(server):
    with pytest.raises(
        BadInput, match=r"^--server takes an address such as https://chall.*; got '"
    ):
        Client(server, TOKEN)


@pytest.mark.parametrize("token", ["", "two words", "line\nbreak", "ü"])
def test_a_token_that_cannot_be_one_is_refused_and_not_shown(token):
    with pytest.raises(BadInput, match=r"^--token takes a token as the team's page shows it once$"):
        Client("https://example.org", token)
