"""Verification as NIST runs it (FRVT, now FRTE, 1:1): FNMR at a low FMR, nobody left out.

    visa       FNMR at FMR 1e-6 and 1e-4
    mugshot    FNMR at FMR 1e-5; and of genuine pairs 14 years apart, at the same threshold
    wild       FNMR at FMR 1e-5

FMR is never exceeded and its threshold is one for the whole set, over all impostor pairs. A
photograph without a template is not left out: its genuine pairs are misses and its impostor
pairs never match. Beside the rates stand the bytes of a template and the time it took.

Source: NIST, Face Recognition Technology Evaluation, 1:1 verification (NIST IR 8238 and its
web page). Differs from it: NIST holds its photographs back, so these are its rules on other
photographs; scores are cosines; the time is that of the machine the Report names, and NIST's
reports give medians on one core of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tronie.errors import BadInput
from tronie.evaluation.metrics.intervals import bootstrap_recentered, wilson
from tronie.evaluation.pairs.fnmr import fnmr_value
from tronie.evaluation.protocol import Protocol
from tronie.evaluation.report import Report, Value
from tronie.evaluation.report_parts import Details
from tronie.provenance import Provenance

FORMS: dict[str, tuple[float, ...]] = {
    "visa": (1e-6, 1e-4),
    "mugshot": (1e-5,),
    "wild": (1e-5,),
}
"""FMRs of each form, the one that ranks first."""
YEARS_APART = 14
AGED = f"fnmr_{YEARS_APART}_years"
_SEED = 0


class Aged(NamedTuple):
    """Genuine pairs of photographs YEARS_APART, by person."""

    fmr: float
    """At whose threshold they are judged."""
    misses: NDArray[np.int64]
    """(S,)."""
    pairs: NDArray[np.int64]
    """(S,), each 1 or more."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Compared:
    """What was measured on one set."""

    form: str
    """One of FORMS."""
    details: Details
    """With a point for each FMR; its misses and impostor pairs count failed templates."""
    templates: int
    failed: int
    """Of the templates, those that could not be made."""
    template_bytes: int
    template_times_s: Sequence[float] = ()
    """Of photographs, seconds each; empty where nobody measured."""
    aged: Aged | None = None
    """At the threshold of the first FMR."""
    notes: tuple[str, ...] = ()


def check_form(form: str) -> None:
    """See that it is one of FORMS.

    Raises:
        BadInput: it is none.
    """
    if form not in FORMS:
        raise BadInput(f"the form of the set is one of {', '.join(FORMS)}; got {form!r}")


def score(compared: Compared, *, provenance: Provenance | None = None) -> Report:
    """The rates of one set as a Report; lower is better.

    Raises:
        BadInput: the form is unknown, or there is no point.
    """
    check_form(compared.form)
    form = compared.form
    order = {far: n for n, far in enumerate(FORMS[form])}
    points = sorted(compared.details.points, key=lambda p: (order.get(p.far, len(order)), p.far))
    if not points:
        raise BadInput(f"the form {form} needs an operating point; got none")
    values = {f"fnmr_at_fmr_{point.far:g}": fnmr_value(point) for point in points}
    notes = [
        f"the set is in the form {form}: {points[0].genuine_pairs} genuine and "
        f"{points[0].impostor_pairs} impostor pairs",
        f"{compared.failed} of {compared.templates} templates failed; their genuine pairs are "
        "misses and their impostor pairs never match",
    ]
    if other := [f"{point.far:g}" for point in points if point.far not in order]:
        notes.append(f"the form {form} does not ask for FMR {', '.join(other)}")
    if compared.aged is not None:
        values[AGED] = _aged_value(compared.aged)
        notes.append(f"{AGED} is at the threshold of FMR {compared.aged.fmr:g}")
    values["failures_to_enroll"] = Value(
        value=compared.failed / compared.templates,
        unit="fraction",
        count=compared.failed,
        total=compared.templates,
    )
    values["template_bytes"] = Value(value=compared.template_bytes, unit="bytes")
    if len(compared.template_times_s):
        median = float(np.median(np.asarray(compared.template_times_s, np.float64)))
        values["template_time"] = Value(value=median, unit="s")
        notes.append(f"template_time is the median of {len(compared.template_times_s)} templates")
    notes += [f"FMR {point.far:g}: {point.note}" for point in points if point.note]
    return Report(
        name=PROTOCOL.name,
        version=PROTOCOL.version,
        values=values,
        details=compared.details,
        notes=(*notes, *compared.notes),
        provenance=provenance,
    )


def _aged_value(aged: Aged) -> Value:
    count, total = int(aged.misses.sum()), int(aged.pairs.sum())
    (drawn,) = bootstrap_recentered(
        aged.misses[None], aged.pairs, counts=[count], total=total, seed=_SEED
    )
    return Value(
        value=count / total,
        unit="fraction",
        count=count,
        total=total,
        interval=drawn or wilson(count, total),
    )


PROTOCOL = Protocol(
    name="frvt",
    version="1",
    source="NIST, FRTE (formerly FRVT) 1:1 verification; its rules, on photographs of one's own",
    needs=(
        "a feature matrix (N, D) float32, one row a photograph, NaN where no template was made",
        "META, a CSV of one line a row: subject, and if known photo, failed, year, seconds",
    ),
    score=score,
)
