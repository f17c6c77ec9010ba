"""A gallery and an analyzer together, below the verbs."""

from __future__ import annotations

import numpy as np
import pytest

from tronie.cli.gallery_in_use import Candidate, candidates, photograph, stranger_rate
from tronie.geometry.faces import Faces
from tronie.runtime.calibration import Threshold

NAMES = ("Ada", "Bo", "Cy")
TEMPLATES = np.eye(3, 4, dtype=np.float32)


def faces(*embeddings: list[float]) -> Faces:
    count = len(embeddings)
    return Faces(
        boxes=np.tile(np.array([[1, 2, 3, 4]], np.float32), (count, 1)),
        scores=np.full(count, 0.9, np.float32),
        embeddings=np.array(embeddings, np.float32).reshape(count, 4),
    )


def test_candidates_are_the_likest_first_whatever_the_embeddings_length():
    (found,) = candidates(faces([3, 0, 4, 0]), NAMES, TEMPLATES, top=2)
    assert [one.person for one in found] == ["Cy", "Ada"]
    assert [one.score for one in found] == pytest.approx([0.8, 0.6])


def test_no_face_has_no_candidates_and_an_empty_gallery_gives_none():
    assert candidates(faces(), NAMES, TEMPLATES, top=2) == []
    assert candidates(faces([1, 0, 0, 0]), (), TEMPLATES[:0], top=2) == [[]]
    assert candidates(faces([1, 0, 0, 0]), NAMES, TEMPLATES, top=1) == [[Candidate("Ada", 1.0)]]


def test_what_is_remembered_of_a_face_is_text_and_plain_numbers():
    remembered = photograph(faces([1, 0, 0, 0]), name="\udcff.jpg", sha256="ab")
    assert remembered.source == "\\udcff.jpg"
    assert remembered.source.encode("utf-8")
    assert remembered.box == (1.0, 2.0, 3.0, 4.0)
    assert remembered.detector_score == pytest.approx(0.9)


def limit(fmr: float, matches: int | None, pairs: int | None) -> Threshold:
    return Threshold(value=0.5, fmr=fmr, false_matches=matches, impostor_pairs=pairs, source="toys")


def test_the_risk_of_a_stranger_by_the_formula():
    assert stranger_rate(limit(0.01, 10, 1000), 20) == pytest.approx(1 - 0.99**20)
    assert stranger_rate(limit(0.01, 10, 1000), 0) == 0.0


def test_an_unmeasured_risk_is_unknown_and_one_of_no_errors_is_bounded():
    assert stranger_rate(limit(float("nan"), None, None), 20) is None
    assert stranger_rate(limit(0.0, 0, 1000), 20) == pytest.approx(1 - 0.999**20)
