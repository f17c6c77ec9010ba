"""Messages: handed to a mail server of the test's own, and refused where they would forge."""

from __future__ import annotations

import socket
import threading

import pytest

from tronie.server.challenge.mail import MailUnavailable, SmtpMailer, written
from tronie.server.challenge.settings import Smtp


def mail_server(answer: bytes = b"250 ok\r\n") -> tuple[int, list[bytes], threading.Thread]:
    """Speaks just enough SMTP for one message."""
    heard: list[bytes] = []
    listening = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with listening, listening.accept()[0] as line, line.makefile("rb") as words:
            line.sendall(b"220 here\r\n")
            in_data = False
            for word in words:
                heard.append(word)
                if in_data:
                    if word == b".\r\n":
                        in_data = False
                        line.sendall(b"250 taken\r\n")
                    continue
                verb = word[:4].upper()
                in_data = verb == b"DATA"
                if verb == b"QUIT":
                    line.sendall(b"221 bye\r\n")
                    return
                line.sendall(b"354 go\r\n" if in_data else answer)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    return listening.getsockname()[1], heard, thread


def test_a_message_arrives_whole():
    port, heard, thread = mail_server()
    smtp = Smtp(host="127.0.0.1", port=port, sender="we@example.org", security="none")
    SmtpMailer(smtp).send("you@example.org", "Faces 2030", "Open this:\nhttp://x/verify?code=1\n")
    thread.join(5)
    told = b"".join(heard)
    assert b"mail FROM:<we@example.org>" in told
    assert b"rcpt TO:<you@example.org>" in told
    assert b"Subject: Faces 2030" in told
    assert b"http://x/verify?code=1" in told


def test_a_server_that_refuses_or_is_not_there_is_told():
    port, _, thread = mail_server(b"550 no\r\n")
    for where in (port, 1):
        smtp = Smtp(host="127.0.0.1", port=where, sender="we@example.org", security="none")
        with pytest.raises(MailUnavailable, match=r"could not be handed to 127\.0\.0\.1:\d+: \w+"):
            SmtpMailer(smtp).send("you@example.org", "Faces", "text")
    thread.join(5)


@pytest.mark.parametrize("to", ["you@example.org\nBcc: all@example.org", "a\r\n@example.org"])
def test_an_address_cannot_add_a_header(to):
    with pytest.raises(ValueError, match=r"(?i)linefeed|carriage|newline|CR or LF"):
        written(sender="we@example.org", to=to, subject="Faces", text="text")
