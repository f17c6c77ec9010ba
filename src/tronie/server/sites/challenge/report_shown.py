"""A stored Report as its page shows it: values, operating points, curves; nobody's pairs.

Pairs and people with most errors tell of single photographs of the private data, and stay with
the organizer's own files.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from tronie.errors import BadFile
from tronie.evaluation.report import Report
from tronie.evaluation.report_page import page_of
from tronie.evaluation.report_page_parts import Page

PRIVATE = ("pairs", "most_errors")
"""Parts of a Report's details that are of single people."""


def report_shown(stored: Mapping[str, Any]) -> Page | None:
    """The Report as parts of a page; None where it is of a form that this page does not know."""
    try:
        report = Report.from_json(json.dumps(without_people(stored)))
    except (BadFile, TypeError, ValueError):
        return None
    return page_of([("this submission", report)])


def without_people(stored: Mapping[str, Any]) -> dict[str, Any]:
    """A stored Report without what tells of single people of the private data."""
    details = stored.get("details")
    if not isinstance(details, Mapping):
        return dict(stored)
    kept = {key: part for key, part in details.items() if key not in PRIVATE}
    return {**stored, "details": kept}
