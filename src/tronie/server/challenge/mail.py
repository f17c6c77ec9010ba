"""The door for e-mail: a message to one address, by SMTP.

Where a challenge has no mail server there is no Mailer, and nobody is asked to verify an address.
"""

from __future__ import annotations

import smtplib
import ssl
from email.message import EmailMessage
from typing import Protocol

from tronie.errors import TronieError
from tronie.server.challenge.settings import Smtp

TIMEOUT_S = 20.0

VERIFY_TEXT = """Somebody, you we hope, signed up for {title} with this address.

Open this page within a day and confirm that it is yours:
{link}

If it was not you, do nothing.
"""
KNOWN_TEXT = """Somebody, you we hope, signed up for {title} with this address or with the name
of your organization. One of them has an account already, so no new one was made.

Sign in, or set a new password, here:
{link}

If it was not you, do nothing.
"""
RESET_TEXT = """Somebody, you we hope, asked for a new password for {title}.

Open this page within a day and choose one:
{link}

If it was not you, do nothing: the old password stays.
"""


class MailUnavailable(TronieError):
    """The mail server cannot be reached, or does not take the message."""


class Mailer(Protocol):
    """Sends a message."""

    def send(self, to: str, subject: str, text: str) -> None:
        """To one address; it may raise MailUnavailable."""


class SmtpMailer:
    """Sends through the mail server of the settings; one connection a message."""

    def __init__(self, smtp: Smtp) -> None:
        self._smtp = smtp

    def send(self, to: str, subject: str, text: str) -> None:
        """Send it.

        Raises:
            MailUnavailable: it could not be handed over.
        """
        message = written(sender=self._smtp.sender, to=to, subject=subject, text=text)
        try:
            self._hand_over(message)
        except (OSError, smtplib.SMTPException) as fault:
            raise MailUnavailable(
                f"a message could not be handed to {self._smtp.host}:{self._smtp.port}: "
                f"{type(fault).__name__}; look at the settings of [smtp]"
            ) from fault

    def _hand_over(self, message: EmailMessage) -> None:
        smtp, context = self._smtp, ssl.create_default_context()
        if smtp.security == "tls":
            opened: smtplib.SMTP = smtplib.SMTP_SSL(
                smtp.host, smtp.port, timeout=TIMEOUT_S, context=context
            )
        else:
            opened = smtplib.SMTP(smtp.host, smtp.port, timeout=TIMEOUT_S)
        with opened as connection:
            if smtp.security == "starttls":
                connection.starttls(context=context)
            if smtp.user:
                connection.login(smtp.user, smtp.password)
            connection.send_message(message)


def written(*, sender: str, to: str, subject: str, text: str) -> EmailMessage:
    """A plain message; line ends in an address or subject are refused by the library.

    Raises:
        ValueError: an address or the subject holds one.
    """
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = sender, to, subject
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(text)
    return message
