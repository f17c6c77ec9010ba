"""evaluate over templates and searches: each command answers what its run_* function returns."""

from __future__ import annotations

from contextlib import contextmanager

import numpy as np
import pytest

from tronie.cli import evaluate_tables
from tronie.evaluation.report import Report
from tronie.evaluation.run_identification import (
    evaluate_iqiyi_vid,
    evaluate_megaface,
    evaluate_open_set,
)
from tronie.evaluation.run_ijb import evaluate_ijb, evaluate_ijb_identification
from tronie.evaluation.run_set_to_set import evaluate_set_to_set

RNG = np.random.default_rng(0)
PEOPLE = np.repeat(np.arange(12), 4)
ROWS = (RNG.normal(size=(12, 16))[PEOPLE] + 0.8 * RNG.normal(size=(48, 16))).astype(np.float32)


@pytest.fixture
def folder(tmp_path):
    """48 faces of 12 people as an IJB, as lists, and as tables."""
    np.save(tmp_path / "F.npy", ROWS)
    (tmp_path / "meta").mkdir()
    pairs = [(i, j) for i in range(24) for j in range(i + 1, 24)]
    roles = ["gallery" if n % 4 == 0 and n < 32 else "probe" for n in range(48)]
    texts = {
        "meta/ijbc_face_tid_mid.txt": [f"{n}.jpg {n // 2} {n}" for n in range(48)],
        "meta/ijbc_template_pair_label.txt": [f"{i} {j} {int(i // 2 == j // 2)}" for i, j in pairs],
        "meta/ijbc_1N_gallery_G1.csv": ["t,s", *(f"{2 * s},{s}" for s in range(5))],
        "meta/ijbc_1N_gallery_G2.csv": ["t,s", *(f"{2 * s},{s}" for s in range(5, 9))],
        "meta/ijbc_1N_probe_mixed.csv": ["t,s", *(f"{2 * s + 1},{s}" for s in range(12))],
        "images": [f"{n}.jpg" for n in range(48)],
        "templates": [f"t{n // 2} {n}.jpg" for n in range(48)],
        "pairs": [f"t{i} t{j} {int(i // 2 == j // 2)}" for i, j in pairs],
        "open.csv": ["subject,role", *(f"{p},{r}" for p, r in zip(PEOPLE, roles, strict=True))],
        "mega.csv": [
            "subject,listed",
            *(f"{p if p < 4 else -1},{int(n == 40)}" for n, p in enumerate(PEOPLE)),
        ],
        "iqiyi.csv": [
            "subject,role",
            *(f"{p},{'query' if n % 4 == 0 else 'video'}" for n, p in enumerate(PEOPLE)),
        ],
    }
    for name, lines in texts.items():
        (tmp_path / name).write_text("\n".join(lines) + "\n")
    return tmp_path


def answered(cli_here, folder, verb, *words):
    ran = cli_here(
        "evaluate", verb, "--features", folder / "F.npy", *words, "--report", folder / "R.json",
        "--json",
    )  # fmt: skip
    assert ran.code == 0, ran.err
    (told,) = ran.json_lines()
    report = Report.from_json((folder / "R.json").read_text())
    assert {name: told[name] for name in report.values} == {
        name: value.value for name, value in report.values.items()
    }
    return report


def test_ijb_verification(cli_here, folder):
    meta = folder / "meta"
    words = ["--meta", meta, "--nearest", "--pooling", "mean_of_raw"]
    told = answered(cli_here, folder, "ijb-verification", *words)
    expected = evaluate_ijb(meta, folder / "F.npy", pooling="mean_of_raw", beside="nearest")
    assert told.values == expected.values


def test_ijb_identification(cli_here, folder):
    meta = folder / "meta"
    words = ["--meta", meta, "--rule", "published"]
    told = answered(cli_here, folder, "ijb-identification", *words)
    expected = evaluate_ijb_identification(meta, folder / "F.npy", rule="published")
    assert told.values == expected.values


def test_megaface(cli_here, folder, monkeypatch):
    defaults = evaluate_megaface.__kwdefaults__
    monkeypatch.setitem(defaults, "fars", (0.05,))
    told = answered(
        cli_here, folder, "megaface", "--meta", folder / "mega.csv", "--form", "cleaned"
    )
    expected = evaluate_megaface(folder / "F.npy", folder / "mega.csv", form="cleaned")
    assert told.values == expected.values


def test_open_set(cli_here, folder):
    words = ["--meta", folder / "open.csv", "--fpir", "0.25", "--within", "2"]
    told = answered(cli_here, folder, "open-set", *words)
    expected = evaluate_open_set(folder / "F.npy", folder / "open.csv", fpirs=[0.25], within=2)
    assert told.values == expected.values


def test_set_to_set(cli_here, folder):
    words = [
        word for name in ("images", "templates", "pairs") for word in (f"--{name}", folder / name)
    ]
    told = answered(cli_here, folder, "set-to-set", *words)
    expected = evaluate_set_to_set(
        folder / "F.npy", folder / "images", templates=folder / "templates", pairs=folder / "pairs"
    )
    assert told.values == expected.values


def test_iqiyi_vid(cli_here, folder):
    words = ["--meta", folder / "iqiyi.csv", "--limit", "2", "--denominator", "all"]
    told = answered(cli_here, folder, "iqiyi-vid", *words)
    expected = evaluate_iqiyi_vid(
        folder / "F.npy", folder / "iqiyi.csv", limit=2, denominator="all"
    )
    assert told.values == expected.values


@pytest.mark.parametrize(
    ("verb", "table", "description"),
    [
        ("ijb-verification", "meta", "comparing"),
        ("ijb-identification", "meta", "searching"),
        ("megaface", "mega.csv", "searching"),
        ("open-set", "open.csv", "searching"),
        ("iqiyi-vid", "iqiyi.csv", "searching"),
    ],
)
def test_what_takes_long_says_how_far_it_is(
    cli_here, folder, monkeypatch, verb, table, description
):
    told = []

    @contextmanager
    def progress_of(what):
        told.append(what)
        yield lambda *counts: told.append(counts)

    monkeypatch.setitem(evaluate_megaface.__kwdefaults__, "fars", (0.05,))
    monkeypatch.setattr(evaluate_tables, "progress_of", progress_of)
    answered(cli_here, folder, verb, "--meta", folder / table)
    assert told[0] == description
    done, total = told[-1]
    assert done == total > 0
