"""A signed result: what it says of a submission, before it is signed."""

from __future__ import annotations

from typing import Any

from tronie.server.challenge.submission import Organization, Submission
from tronie.server.sites.challenge.report_shown import without_people


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
