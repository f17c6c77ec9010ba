"""Forms of the pages: few short fields, sent by a page of ours to whoever it was shown to."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated

from fastapi import Depends, Request

from tronie.server.http import Refused, expect_form_token
from tronie.server.sites.challenge.site import AnyVisit, Visit

MOST_FIELDS = 64
FIELD = "form_token"
_UNSEEN = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_FORM = "application/x-www-form-urlencoded"


async def read_form(request: Request, visit: AnyVisit) -> Mapping[str, str]:
    """The fields of a form that this visitor was shown.

    Raises:
        Refused: it is no form, has too many fields or control characters, or is not ours.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != _FORM:
        raise Refused(415, "wrong_type", f"a form is sent as {_FORM}; got {kind or 'nothing'!r}")
    form = await request.form(max_fields=MOST_FIELDS)
    told = {name: value for name, value in form.multi_items() if isinstance(value, str)}
    expect_own_form(visit, told.get(FIELD, ""))
    for name, value in told.items():
        if _UNSEEN.search(name) or _UNSEEN.search(value):
            raise Refused(
                400, "bad_input", "a field holds a control character; type it anew and send again"
            )
    return told


def expect_own_form(visit: Visit, told: str) -> None:
    """The form carries what only the page shown to this visitor held.

    Raises:
        Refused: it does not.
    """
    expect_form_token(
        visit.request, visit.site.settings.secret, cookie=visit.form_cookie, told=told
    )


Fields = Annotated[Mapping[str, str], Depends(read_form)]
