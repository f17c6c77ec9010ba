"""A signed result: what it says of a submission, and that only what the log tells is signed."""

from __future__ import annotations

import logging
from typing import Any

from tronie.server.challenge.submission import Organization, Submission
from tronie.server.http import Refused
from tronie.server.sites.challenge.report_shown import without_people
from tronie.server.sites.challenge.site import Site

log = logging.getLogger("tronie.server")
DIFFERS = (
    "this result is not signed: what is stored of it is not what the challenge's log tells; "
    "write to the organizers"
)


def signed_result(site: Site, found: Submission, owner: Organization) -> dict[str, Any]:
    """The result of a scored submission with the challenge's signature.

    Raises:
        Refused: it is not what the log tells of it.
        NotFound: it is not scored any more.
    """
    logged = site.store.logged_result(found.id)
    if logged is None:
        log.error("the result of %s is not what the log tells of it; it is not signed", found.id)
        raise Refused(409, "not_as_logged", DIFFERS)
    return site.signer.sign(result_document(logged, owner))


def result_document(found: Submission, owner: Organization) -> dict[str, Any]:
    """Whose submission it was, its checks and its Report; plain JSON."""
    return {
        "organization": owner.name,
        "track": found.track,
        "submission": found.id,
        "file_sha256": found.sha256,
        "received": found.received.isoformat(),
        "scored": found.changed.isoformat(),
        "protocol_version": found.protocol_version,
        "checks": None if found.verdict is None else found.verdict.to_dict(),
        "report": None if found.report is None else without_people(found.report),
    }
