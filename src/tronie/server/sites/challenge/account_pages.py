"""Pages of an account: sign up, verify, sign in and out, another password.

No answer here tells whether an address is known: what is said and what is computed are the same.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Mapping

from fastapi import APIRouter
from starlette.background import BackgroundTask
from starlette.responses import Response

from tronie.errors import BadInput
from tronie.server.challenge import accounts
from tronie.server.challenge.mail import KNOWN_TEXT, RESET_TEXT, VERIFY_TEXT, MailUnavailable
from tronie.server.challenge.submission import User
from tronie.server.http import Refused, address_of, local_path, one_line, too_often
from tronie.server.sites.challenge.forms import Fields
from tronie.server.sites.challenge.site import AnyVisit, TeamVisit, Visit

router = APIRouter(include_in_schema=False)
WRONG = "the address or the password is wrong; type both anew"
OLD_CODE = "this link was used already or is too old; ask for a new one"

log = logging.getLogger("tronie.server")


@router.get("/sign-up")
def sign_up_page(visit: AnyVisit) -> Response:
    """The form to sign up with."""
    return _sign_up_form(visit, {})


@router.post("/sign-up")
def sign_up(fields: Fields, visit: AnyVisit) -> Response:
    """Make an account; who asks is told the same whether it was free or not."""
    site = visit.site
    site.expect_rate("sign-up", visit.address, visit.now)
    if not site.settings.sign_up_open:
        raise Refused(403, "closed", "nobody may sign up here now; ask the organizer")
    try:
        asked = accounts.read_sign_up(fields)
    except BadInput as fault:
        return _sign_up_form(visit, fields, fault=str(fault), status=400)
    verified = site.mailer is None
    if not verified:
        site.expect_rate("mail", asked.email.casefold(), visit.now)
    user = accounts.sign_up(site.store, site.passwords, asked, verified=verified, now=visit.now)
    if verified:
        return visit.to("/sign-in", done="signed-up")
    response = visit.to("/sign-in", done="mail-sent")
    response.background = BackgroundTask(_send_welcome, visit, user, asked.email)
    return response


@router.get("/verify")
def verify_page(visit: AnyVisit, code: str = "") -> Response:
    """Ask for a click: programs that look through mail open every link in it."""
    return visit.page("verify.html", {"code": code[:200]})


@router.post("/verify")
def verify(fields: Fields, visit: AnyVisit) -> Response:
    """The address is theirs."""
    user = _user_of_code(visit, fields.get("code", ""), accounts.VERIFY)
    visit.site.store.set_verified(user.id, visit.now)
    return visit.to("/sign-in", done="verified")


@router.get("/sign-in")
def sign_in_page(visit: AnyVisit, next: str = "") -> Response:
    """The form to sign in with."""
    return visit.page("sign_in.html", {"next": local_path(next, otherwise=""), "email": ""})


@router.post("/sign-in")
def sign_in(fields: Fields, visit: AnyVisit) -> Response:
    """Open a session under a new token, whatever cookies came along."""
    site, email = visit.site, fields.get("email", "")
    account = email.strip().casefold()[: accounts.LONGEST_EMAIL]
    site.expect_rate("sign-in", visit.address, visit.now)
    until = site.limits.next_at("sign-in-failed", account, visit.now)
    if until is not None:
        raise too_often(until, visit.now)
    user = accounts.sign_in(
        site.store,
        site.passwords,
        email=email,
        password=fields.get("password", ""),
        now=visit.now,
    )
    following = local_path(fields.get("next", ""), otherwise="")
    if user is None:
        site.limits.take("sign-in-failed", account, visit.now)
        log.info("sign-in failed from %s", one_line(address_of(visit.request)))
        return visit.page(
            "sign_in.html", {"next": following, "email": email, "fault": WRONG}, status=401
        )
    if visit.session:
        site.store.end_session(visit.session)
    lifetime = site.settings.session_lifetime
    token = site.store.new_session(user.id, now=visit.now, lifetime=lifetime)
    home = "/organizer" if user.role == "organizer" else "/team"
    response = visit.to(following or home)
    site.cookies.write(response, site.cookies.session, token, lifetime=lifetime)
    site.cookies.clear(response, site.cookies.visitor)
    return response


@router.post("/sign-out")
def sign_out(fields: Fields, visit: AnyVisit) -> Response:
    """End this session."""
    if visit.session:
        visit.site.store.end_session(visit.session)
    response = visit.to("/", done="signed-out")
    visit.site.cookies.clear(response, visit.site.cookies.session)
    return response


@router.get("/forgot")
def forgot_page(visit: AnyVisit) -> Response:
    """The form to ask for a new password with."""
    return visit.page("forgot.html", {"has_mail": visit.site.mailer is not None})


@router.post("/forgot")
def forgot(fields: Fields, visit: AnyVisit) -> Response:
    """Send a link, if the address is known; the answer is the same if it is not."""
    site, email = visit.site, fields.get("email", "")
    site.expect_rate("sign-up", visit.address, visit.now)
    site.expect_rate("mail", email.strip().casefold()[: accounts.LONGEST_EMAIL], visit.now)
    if site.mailer is None:
        raise Refused(404, "no_mail", "this challenge sends no mail; ask the organizer")
    response = visit.to("/sign-in", done="mail-sent")
    response.background = BackgroundTask(_send_reset, visit, email)
    return response


@router.get("/reset")
def reset_page(visit: AnyVisit, code: str = "") -> Response:
    """The form to choose a new password with."""
    return visit.page("reset.html", {"code": code[:200]})


@router.post("/reset")
def reset(fields: Fields, visit: AnyVisit) -> Response:
    """Set the password of whom the link was sent to; end every session and token."""
    site, code = visit.site, fields.get("code", "")
    try:
        new = accounts.new_password(fields.get("password", ""))
    except BadInput as fault:
        return visit.page("reset.html", {"code": code[:200], "fault": str(fault)}, status=400)
    user = _user_of_code(visit, code, accounts.RESET)
    accounts.change_password(site.store, site.passwords, user, new=new, now=visit.now)
    site.store.set_verified(user.id, visit.now)
    return visit.to("/sign-in", done="password-set")


@router.get("/account")
def account_page(visit: TeamVisit) -> Response:
    """Who is signed in, and the form to change the password."""
    return visit.page("account.html")


@router.post("/account/password")
def change_password(fields: Fields, visit: TeamVisit) -> Response:
    """Set another password; the old one has to be known. Ends every session and token."""
    site, me = visit.site, visit.me
    until = site.limits.next_at("sign-in-failed", me.email.casefold(), visit.now)
    if until is not None:
        raise too_often(until, visit.now)
    if not site.passwords.fits(me.password_hash, fields.get("old", "")):
        site.limits.take("sign-in-failed", me.email.casefold(), visit.now)
        return visit.page("account.html", {"fault": "the old password is wrong"}, status=400)
    try:
        accounts.change_password(
            site.store, site.passwords, me, new=fields.get("password", ""), now=visit.now
        )
    except BadInput as fault:
        return visit.page("account.html", {"fault": str(fault)}, status=400)
    response = visit.to("/sign-in", done="password-set")
    site.cookies.clear(response, site.cookies.session)
    return response


def _sign_up_form(
    visit: Visit, told: Mapping[str, str], *, fault: str = "", status: int = 200
) -> Response:
    return visit.page(
        "sign_up.html",
        {
            "organization_name": told.get("organization", ""),
            "email": told.get("email", ""),
            "fault": fault,
            "shortest": accounts.SHORTEST_PASSWORD,
        },
        status=status,
    )


def _user_of_code(visit: Visit, code: str, purpose: str) -> User:
    visit.site.expect_rate("wrong-token", visit.address, visit.now)
    known = code.isascii() and code.isprintable() and len(code) <= 200
    user = visit.site.store.use_mail_code(code, purpose, visit.now) if known else None
    if user is None:
        raise Refused(400, "old_code", OLD_CODE)
    return user


def _send_welcome(visit: Visit, user: User | None, email: str) -> None:
    """To somebody new a code; to somebody known, that they are."""
    site = visit.site
    if user is None:
        _send(visit, email, KNOWN_TEXT, site.settings.link("/sign-in"))
        return
    code = site.store.new_mail_code(user.id, accounts.VERIFY, visit.now, accounts.CODE_LIFETIME)
    _send(visit, email, VERIFY_TEXT, site.settings.link(f"/verify?code={code}"))


def _send_reset(visit: Visit, email: str) -> None:
    site = visit.site
    try:
        user = site.store.user_by_email(accounts.email_address(email))
    except BadInput:
        return
    if user is not None:
        code = site.store.new_mail_code(user.id, accounts.RESET, visit.now, accounts.CODE_LIFETIME)
        _send(visit, user.email, RESET_TEXT, site.settings.link(f"/reset?code={code}"))


def _send(visit: Visit, to: str, text: str, link: str) -> None:
    site = visit.site
    assert site.mailer is not None, "asked where no mail is sent"
    title = site.settings.title
    try:
        site.mailer.send(to, title, text.format(title=title, link=link))
    except MailUnavailable as fault:
        log.error("%s (reference %s)", one_line(str(fault)), secrets.token_hex(4))
