"""The README's numbers are those of the Reports and benchmark files, to the last digit."""

from __future__ import annotations

import csv
import json
import subprocess
import sys

import pytest

from tronie.evaluation.report import Report
from tronie.runtime import zoo
from working_tree import REPOSITORY

CARDS = sorted((REPOSITORY / "src").rglob("*.calibration.json"))
SPEEDS = sorted((REPOSITORY / "benchmarks" / "speed").glob("*.csv"))
TRAINED = sorted((REPOSITORY / "benchmarks" / "training").glob("*.json"))
REPORTS = sorted((REPOSITORY / "benchmarks" / "accuracy").glob("*.json"))


def test_the_readme_holds_what_the_benchmark_files_say():
    script = REPOSITORY / "benchmarks" / "readme_table.py"
    told = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=True)
    assert told.stdout.strip() in (REPOSITORY / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("path", REPORTS, ids=lambda path: path.name)
def test_a_kept_report_reads_back_and_names_its_commit(path):
    report = Report.from_json(path.read_text(encoding="utf-8"))
    assert report.provenance is not None
    assert report.provenance.commit


@pytest.mark.parametrize("path", REPORTS, ids=lambda path: path.name)
def test_a_kept_report_names_no_folder_of_the_machine(path):
    assert "/" not in json.dumps(json.loads(path.read_text("utf-8"))["provenance"]["inputs"])


@pytest.mark.parametrize("path", CARDS, ids=lambda path: path.name)
def test_a_shipped_card_was_measured_on_a_commit_without_changes(path):
    made = json.loads(path.read_text(encoding="utf-8"))["provenance"]
    assert made["commit"]
    assert made["dirty"] is False


@pytest.mark.parametrize("path", SPEEDS, ids=lambda path: path.name)
def test_speeds_were_measured_on_a_commit_without_changes(path):
    rows = list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))
    assert rows
    assert all(row["commit"] and row["dirty"] == "False" for row in rows)


@pytest.mark.parametrize("entry", zoo.catalog_entries(), ids=lambda entry: entry.name)
def test_an_accuracy_in_the_zoo_is_that_of_its_report(entry):
    for row in entry.accuracy:
        report = Report.from_json((REPOSITORY / row["report"]).read_text(encoding="utf-8"))
        name = next((n for n in ("easy", "medium", "hard") if n in row["protocol"]), "accuracy")
        assert row["value"] == pytest.approx(report.values[name].value, abs=5e-7)
        assert entry.sha256 in report.provenance.inputs.values()


@pytest.mark.parametrize("path", TRAINED, ids=lambda path: path.name)
def test_what_was_trained_was_trained_on_a_commit_without_changes(path):
    made = json.loads(path.read_text(encoding="utf-8"))["provenance"]
    assert made["commit"]
    assert made["dirty"] is False
    assert not any("/" in value for value in made["inputs"].values())
