"""Reports of a run: named by set and step, and told what they are of."""

from __future__ import annotations

import pytest

from tronie.errors import BadInput

pytest.importorskip("torch")

from tronie.evaluation.report import Report, Value
from tronie.lab.training.reports import write_report

pytestmark = pytest.mark.lab

REPORT = Report(name="toy", version="1", values={"ap": Value(value=0.5, unit="fraction")})


def test_a_report_says_after_which_step_the_network_was_judged(tmp_path):
    write_report(tmp_path, "held-out", 1200, REPORT)
    text = (tmp_path / "reports" / "held-out-step-00001200.json").read_text()
    assert Report.from_json(text).notes == ("of the network after 1200 steps",)
    assert [path.name for path in (tmp_path / "reports").iterdir()] == [
        "held-out-step-00001200.json"
    ]


def test_a_folder_that_cannot_be_is_refused(tmp_path):
    (tmp_path / "reports").write_text("in the way")
    with pytest.raises(BadInput, match=r"cannot write to .*reports: File exists"):
        write_report(tmp_path, "held-out", 1, REPORT)
