"""Reports of a run: RUN/reports/NAME-step-00001200.json, whole or not there."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from tronie.errors import BadInput
from tronie.evaluation.report import Report
from tronie.lab.training.whole_file import write_whole

REPORTS = "reports"


def write_report(run: Path, name: str, step: int, report: Report) -> None:
    """Write what a network was judged to be after `step` steps.

    Args:
        run: Folder of the run.
        name: Of the set it was judged by.

    Raises:
        BadInput: it cannot be written.
    """
    noted = replace(report, notes=(*report.notes, f"of the network after {step} steps"))
    folder = run / REPORTS
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInput(f"cannot write to {folder}: {error.strerror}") from error
    write_whole(folder / f"{name}-step-{step:08d}.json", noted.to_json())
