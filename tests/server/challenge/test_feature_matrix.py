"""A matrix is refused by the rule it breaks, and its row is named."""

from __future__ import annotations

import io
import re

import numpy as np
import pytest

from tronie.data.readers.features import write_features
from tronie.server.challenge import feature_matrix
from tronie.server.challenge.feature_matrix import matrix_checks
from tronie.server.challenge.track import Column, Limits, Track

ROWS, D = 20, 8


def track(rows=ROWS):
    return Track(
        title="T",
        summary="S",
        rules=(),
        protocol="lfr19-image",
        takes="features",
        rows=rows,
        limits=Limits(upload_bytes=2**20, dimension=D),
        columns=(Column(key="score", title="Score"),),
    )


def good():
    return np.random.default_rng(0).standard_normal((ROWS, D)).astype(np.float32)


def spoiled(row, value):
    rows = good()
    rows[row] = value
    return rows


def judged(tmp_path, rows, *, form="m.npy", of=None, dimension=D):
    path = tmp_path / form
    if isinstance(rows, bytes):
        path.write_bytes(rows)
    else:
        write_features(path, rows)
    return matrix_checks(path, of or track(), dimension=dimension)


@pytest.mark.parametrize("form", ["m.npy", "m.bin"])
@pytest.mark.parametrize("rows_at_once", [3, 10_000])
def test_a_good_matrix_keeps_all_rules(tmp_path, monkeypatch, form, rows_at_once):
    monkeypatch.setattr(feature_matrix, "ROWS_AT_ONCE", rows_at_once)
    checks = judged(tmp_path, good(), form=form)
    assert [c.rule for c in checks] == [
        "features.form",
        "features.rows",
        "features.dimension",
        "features.finite",
        "features.zero_rows",
        "features.length",
        "features.constant",
    ]
    assert all(c.passed for c in checks)


@pytest.mark.parametrize(
    ("rows", "rule", "words"),
    [
        (spoiled(17, np.nan), "features.finite", "row 17 of the feature matrix holds NaN or inf"),
        (spoiled(0, np.inf), "features.finite", "row 0 of the feature matrix holds NaN or inf"),
        (spoiled(5, 0), "features.zero_rows", "row 5 of the feature matrix is all zeros"),
        (spoiled(4, 1e30), "features.length", "row 4 of the feature matrix is shorter than 1e-12"),
        (spoiled(3, 1e-30), "features.length", "row 3 of the feature matrix is shorter than"),
        (np.ones((ROWS, D), np.float32), "features.constant", "every row .* is the same"),
        (good()[:-1], "features.rows", "must have exactly 20 rows, .*; it has 19"),
        (np.ones((ROWS, D + 1), np.float32), "features.dimension", "at most 8 numbers.*; it has 9"),
        (good()[:, :4].copy(), "features.dimension", r"as many as the model gives \(8\); it has 4"),
    ],
)
@pytest.mark.parametrize("rows_at_once", [3, 10_000])
def test_a_bad_matrix_breaks_one_rule(tmp_path, monkeypatch, rows, rule, words, rows_at_once):
    monkeypatch.setattr(feature_matrix, "ROWS_AT_ONCE", rows_at_once)
    (refusal,) = [c for c in judged(tmp_path, rows) if not c.passed]
    assert refusal.rule == rule
    assert re.search(words, refusal.reason), refusal.reason


def saved(array, **options):
    out = io.BytesIO()
    np.save(out, array, **options)
    return out.getvalue()


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (saved(np.array([{}], object), allow_pickle=True), "holds Python objects"),
        (saved(good().astype(np.float16)), "holds float16"),
        (saved(good())[:-4], "announces 20 rows of 8 float32"),
        (saved(good()) + b"more", "announces 20 rows of 8 float32"),
        (saved(np.zeros((0, 8), np.float32)), "there is no number in it"),
        (saved(np.asfortranarray(good())), "lies column by column"),
        (b"not a matrix at all", "is neither an .npy nor OpenCV's matrix"),
        (b"", "has 0 bytes, too few"),
    ],
)
def test_a_file_of_another_form_is_refused_without_its_path(tmp_path, data, words):
    (check,) = judged(tmp_path, data)
    assert (check.rule, check.passed) == ("features.form", False)
    assert words in check.reason
    assert str(tmp_path) not in check.reason
    assert check.reason.startswith("the feature matrix")


def test_without_a_number_of_rows_two_are_enough(tmp_path):
    assert all(c.passed for c in judged(tmp_path, good()[:2], of=track(rows=None)))
    (refusal,) = [c for c in judged(tmp_path, good()[:1], of=track(rows=None)) if not c.passed]
    assert "at least 2 rows" in refusal.reason


def test_without_a_model_the_limit_alone_counts(tmp_path):
    assert all(c.passed for c in judged(tmp_path, good()[:, :4].copy(), dimension=None))
