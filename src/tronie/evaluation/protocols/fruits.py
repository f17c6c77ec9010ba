"""FRUITS: how often a system is wrong that may take 100, 500 or 1000 ms a photograph.

    time       of the whole system on one core: read, detect, align, embed, match
    all        FNMR at FMR 1e-5, every photograph with every other
    masked     FNMR at FMR 1e-5, masked photographs with those without a mask
    groups     by attribute, at the threshold of `all`: race, age, scene, ...

A photograph without a face is a failure to enroll: its genuine pairs are misses and its
impostor pairs never match.

Published: the three budgets; that the time is that of detection, alignment, embedding and
matching together, on one core of an Intel Xeon E5-2630 v4 at 2.2 GHz; FNMR at FMR 1e-5.
Ours: that the mean over the photographs is held against the budget, after a warm-up that is
stated, reading and decoding included, and one comparison a photograph; the median, the 95th
and the 99th percentile stand beside it, with the core of the machine that the Report names.

Source: Zhu et al., "WebFace260M", CVPR 2021, arXiv:2103.04098 (the protocol and its budgets);
Zhu et al., "Masked Face Recognition Challenge: the WebFace260M track report", ICCVW 2021.
Differs from them: the photographs are one's own, since theirs are held back.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from tronie.errors import BadInput
from tronie.evaluation.one_core import Timed
from tronie.evaluation.pairs.enrolled import MeasuredEnrolled
from tronie.evaluation.pairs.fnmr import fnmr_value
from tronie.evaluation.protocol import Protocol
from tronie.evaluation.report import Report, Value
from tronie.evaluation.report_parts import Details, Groups
from tronie.provenance import Provenance

BUDGETS_S: Mapping[str, float] = {"fruits-100": 0.1, "fruits-500": 0.5, "fruits-1000": 1.0}
"""Seconds a photograph."""
FMR = 1e-5
SETS = ("all", "masked")
_PERCENTILES = {"time_median": 50, "time_p95": 95, "time_p99": 99}


def check_budget(seconds: Sequence[float], *, track: str, of: int) -> None:
    """Refuse a system that takes longer than its track allows.

    Args:
        seconds: Of each photograph timed.
        track: One of BUDGETS_S.
        of: How many photographs there are.

    Raises:
        BadInput: the mean is over the budget, or the track is unknown.
    """
    budget = budget_s(track)
    mean = sum(seconds) / len(seconds)
    if mean > budget:
        counted = "" if len(seconds) == of else f" (mean of {len(seconds)} of {of})"
        raise BadInput(
            f"the system took {1000 * mean:.0f} ms a photograph{counted}; "
            f"{track.upper()} allows {1000 * budget:.0f}. Take a lighter model or another track, "
            "or ask for it to be scored anyway, with a mark"
        )


def budget_s(track: str) -> float:
    """Seconds a photograph that a track allows.

    Raises:
        BadInput: there is no such track.
    """
    if track not in BUDGETS_S:
        raise BadInput(f"the track is one of {', '.join(BUDGETS_S)}; got {track!r}")
    return BUDGETS_S[track]


def score(
    measured: Mapping[str, MeasuredEnrolled],
    time: Timed,
    *,
    track: str,
    fmr: float = FMR,
    groups: Sequence[Groups] = (),
    over_budget: str = "refuse",
    provenance: Provenance | None = None,
) -> Report:
    """The Report of one system on one track; lower is better.

    Args:
        measured: "all", and "masked" where there are masked photographs.
        time: Of every photograph.
        track: One of BUDGETS_S.
        fmr: At which the sets were measured.
        groups: By attribute, at the threshold of "all".
        over_budget: "refuse", or "mark": score a system that is too slow, and say so.

    Raises:
        BadInput: the track is unknown, or the system is over its budget.
    """
    if over_budget not in ("refuse", "mark"):
        raise BadInput(f'a system over its budget is for "refuse" or "mark"; got {over_budget!r}')
    everybody = measured["all"]
    if over_budget == "refuse":
        check_budget(time.seconds, track=track, of=everybody.templates)
    used = time.mean / budget_s(track)
    values = {
        f"fnmr_{name}": fnmr_value(measured[name].point(fmr)) for name in SETS if name in measured
    }
    values |= _times(time, track)
    values["failures_to_enroll"] = Value(
        value=everybody.failed / everybody.templates,
        unit="fraction",
        count=everybody.failed,
        total=everybody.templates,
    )
    notes = [] if used <= 1 else [f"OVER BUDGET: {used:.2f} times what {track.upper()} allows"]
    if fmr != FMR:
        notes.append(f"FNMR is at FMR {fmr:g}; the protocol asks for {FMR:g}")
    notes += _time_notes(time, track)
    notes += [f"{name}: not measured" for name in SETS if name not in measured]
    notes.append(
        f"{everybody.failed} of {everybody.templates} photographs gave no face; their genuine "
        "pairs are misses and their impostor pairs never match"
    )
    for name in SETS:
        if name in measured and (note := measured[name].point(fmr).note):
            notes.append(f"{name}: {note}")
    return Report(
        name=PROTOCOL.name,
        version=PROTOCOL.version,
        values=values,
        details=_details(measured, groups),
        notes=tuple(notes),
        provenance=provenance,
    )


def _times(time: Timed, track: str) -> dict[str, Value]:
    seconds = np.asarray(time.seconds, np.float64)
    values = {"time_mean": Value(value=time.mean, unit="s")}
    for name, percent in _PERCENTILES.items():
        values[name] = Value(value=float(np.percentile(seconds, percent)), unit="s")
    values["budget"] = Value(value=budget_s(track), unit="s")
    values["budget_used"] = Value(value=time.mean / budget_s(track), unit="fraction")
    values["busy_cores"] = Value(value=time.busy_cores, unit="cores")
    return values


def _time_notes(time: Timed, track: str) -> list[str]:
    where = "on one core" if time.pinned else "NOT kept on one core, which this system cannot do"
    return [
        f"{track}: wall time of {len(time.seconds)} photographs, read to match, {where}; "
        f"the first {time.warm_up} were run before, untimed",
        "the budgets are of a core of an Intel Xeon E5-2630 v4 at 2.2 GHz; this was another "
        "machine, see the provenance",
    ]


def _details(measured: Mapping[str, MeasuredEnrolled], groups: Sequence[Groups]) -> Details:
    parts = [measured[name].details for name in SETS if name in measured]
    return Details.joined([*parts, Details(groups=tuple(groups))])


PROTOCOL = Protocol(
    name="fruits",
    version="1",
    source="Zhu et al., WebFace260M, CVPR 2021: Face Recognition Under Inference Time conStraint",
    needs=(
        "META, a CSV of one line a photograph: photo, subject, masked, and attributes",
        "the photographs that META names",
    ),
    score=score,
)
