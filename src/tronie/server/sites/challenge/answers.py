"""Every answer that is no: the same sentence as JSON for programs and as a page for people."""

from __future__ import annotations

import logging
import re
import secrets
from collections.abc import Mapping

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse, RedirectResponse, Response

from tronie.errors import BadInput, NotFound, TronieError
from tronie.server.challenge.intake import NotAllowed, NotNow
from tronie.server.challenge.storage import StorageUnavailable, TooLarge
from tronie.server.challenge.store import (
    Banned,
    LeaseLost,
    NameTaken,
    QuotaExceeded,
    StoreUnavailable,
)
from tronie.server.http import Refused, one_line
from tronie.server.sites.challenge.site import SignInFirst, site_of, visit_of

log = logging.getLogger("tronie.server")

STATUSES: tuple[tuple[type[TronieError], int, str], ...] = (
    (NotFound, 404, "not_found"),
    (QuotaExceeded, 429, "quota_exceeded"),
    (NameTaken, 409, "name_taken"),
    (Banned, 403, "not_allowed"),
    (NotAllowed, 403, "not_allowed"),
    (NotNow, 403, "not_now"),
    (TooLarge, 413, "too_large"),
    (BadInput, 400, "bad_input"),
    (LeaseLost, 409, "conflict"),
    (StoreUnavailable, 503, "unavailable"),
    (StorageUnavailable, 503, "unavailable"),
)
"""The first that fits."""
_PLAIN = re.compile(r"/[A-Za-z0-9/._-]*")
_CODES = {
    400: "bad_input",
    401: "sign_in",
    403: "not_allowed",
    404: "not_found",
    405: "wrong_method",
    413: "too_large",
    415: "wrong_type",
    422: "bad_input",
}
_SENTENCES = {
    404: "there is no such page here; the first page leads to all there are",
    405: "this address cannot be asked in that way; see /docs",
}
_OURS = "it could not be done, for a reason on our side; try again, or tell the organizer"


def install(app: FastAPI) -> None:
    """Let the application answer this way."""
    app.add_exception_handler(SignInFirst, _sign_in_first)
    app.add_exception_handler(HTTPException, _refused)
    app.add_exception_handler(RequestValidationError, _not_valid)
    app.add_exception_handler(TronieError, _told)
    app.add_exception_handler(ClientDisconnect, _gone)


def answer(
    request: Request,
    *,
    status: int,
    code: str,
    sentence: str,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """JSON below /api/ and for whoever asks for it, a page for everybody else."""
    wants_json = "application/json" in request.headers.get("accept", "")
    if request.url.path.startswith("/api/") or wants_json:
        told = {"error": {"code": code, "message": sentence}}
        return JSONResponse(told, status, {**(headers or {}), "cache-control": "no-store"})
    response = visit_of(request).page(
        "refusal.html", {"status": status, "sentence": sentence}, status=status
    )
    response.headers.update(headers or {})
    return response


def _sign_in_first(request: Request, error: Exception) -> Response:
    """To the form, and back to where one was going."""
    if "application/json" in request.headers.get("accept", ""):
        return answer(request, status=401, code="sign_in", sentence="sign in first")
    if request.method != "GET":
        return RedirectResponse("/sign-in", 303)
    path = request.url.path
    return RedirectResponse(f"/sign-in?next={path}" if _PLAIN.fullmatch(path) else "/sign-in", 303)


def _gone(request: Request, error: Exception) -> Response:
    """Whoever hangs up before a form is whole hears nothing, and is no fault of ours."""
    return Response(status_code=400)


def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if isinstance(error, Refused):
        code, sentence = error.code, str(error.detail)
    else:
        code = _CODES.get(error.status_code, "refused")
        sentence = _SENTENCES.get(error.status_code, "the request cannot be read; see /docs")
    return answer(
        request, status=error.status_code, code=code, sentence=sentence, headers=error.headers
    )


def _not_valid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    told = "; ".join(
        f"{'.'.join(str(part) for part in one['loc'][1:]) or 'the body'}: {one['msg']}"
        for one in error.errors()[:5]
    )
    return answer(request, status=422, code="bad_input", sentence=told.replace("\x00", ""))


def _told(request: Request, error: Exception) -> Response:
    found = next((told for told in STATUSES if isinstance(error, told[0])), None)
    if found is None:
        return fault(request, error)
    _, status, code = found
    headers = {}
    if isinstance(error, QuotaExceeded):
        seconds = (error.next_at - site_of(request).clock()).total_seconds()
        headers["Retry-After"] = str(max(int(seconds) + 1, 1))
    sentence = str(error)
    if status == 503:
        log.error("%s %s: %s", request.method, one_line(request.url.path), one_line(sentence))
        sentence, headers = _OURS, {"Retry-After": "10"}
    return answer(request, status=status, code=code, sentence=sentence, headers=headers)


def fault(request: Request, error: Exception) -> Response:
    """Our own fault: told in the log with a reference, and to nobody else."""
    reference = secrets.token_hex(4)
    log.error("reference %s", reference, exc_info=error)
    told = {"error": {"code": "fault", "message": f"{_OURS}, with the reference {reference}"}}
    if request.url.path.startswith("/api/"):
        return JSONResponse(told, 500)
    return Response(told["error"]["message"] + "\n", 500, media_type="text/plain")
