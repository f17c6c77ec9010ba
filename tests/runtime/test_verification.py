"""One to one: the decision, everything told beside it, and what is refused."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from toys import toy_detector, toy_face
from tronie.errors import BadFile, BadImage, BadInput, NoFace, NotEnoughData, NotFound
from tronie.geometry.faces import Faces
from tronie.images.io import encode_image
from tronie.runtime import verification
from tronie.runtime.calibration import read_calibration
from tronie.runtime.pipeline import FaceAnalyzer, QualityGate
from tronie.runtime.session import EngineOptions
from tronie.runtime.verification import one_face, threshold_for, verify

OPTIONS = EngineOptions(threads=1)
A, B = toy_face(1), toy_face(2)


@pytest.fixture
def bare(detector_file, embedder_file):
    """An analyzer without a card."""
    return FaceAnalyzer(detector_file, embedder_file, options=OPTIONS, canvas=160)


def card_of(analyzer, folder, **changed):
    """A card of hand-made numbers for an analyzer: FMR 0.1 at 0.3, 0.01 at 0.5, 0.001 at 0.9."""
    rates = [(0.0, 500), (0.3, 100), (0.5, 10), (0.9, 1), (0.99, 0)]
    curve = [
        {"threshold": value, "fmr": count / 1000, "false_matches": count, "exact": True}
        for value, count in rates
    ]
    told = {
        "model": analyzer.model_name,
        "model_sha256": analyzer.model_sha256,
        "detector": analyzer.detector_name,
        "contract": analyzer.contract_id,
        "dataset": "hand-made set",
        "provenance": {},
        "result": {"points": [], "curve": curve, "photos": 50, "people": 20,
                   "impostor_pairs": 1000, "genuine_pairs": 30},
        **changed,
    }  # fmt: skip
    file = folder / "toy.calibration.json"
    file.write_text(json.dumps(told))
    return read_calibration(file)


@pytest.fixture
def analyzer(bare, tmp_path):
    """The same with its card."""
    bare.calibration = card_of(bare, tmp_path)
    return bare


def cosine(analyzer, a, b):
    """By hand, in float64."""
    rows = [analyzer.analyze(side).embeddings[0].astype(np.float64) for side in (a, b)]
    return float(rows[0] @ rows[1] / np.linalg.norm(rows[0]) / np.linalg.norm(rows[1]))


# --- the decision -------------------------------------------------------------------------


def test_the_score_is_the_cosine_of_the_two_embeddings(analyzer):
    answer = verify(A, B, analyzer=analyzer, fmr=0.1)
    assert answer.score == pytest.approx(cosine(analyzer, A, B), abs=1e-6)
    assert answer.match == (answer.score >= 0.3)


def test_a_face_matches_itself_and_the_sides_may_be_swapped(analyzer):
    assert verify(A, A, analyzer=analyzer, fmr=0.001).match
    assert verify(A, A, analyzer=analyzer, fmr=0.001).score == pytest.approx(1.0, abs=1e-6)
    there, back = verify(A, B, analyzer=analyzer, fmr=0.1), verify(B, A, analyzer=analyzer, fmr=0.1)
    assert there.score == pytest.approx(back.score, abs=1e-12)


def test_a_score_at_the_threshold_matches(analyzer):
    score = verify(A, B, analyzer=analyzer, threshold=0.0).score
    assert verify(A, B, analyzer=analyzer, threshold=score).match
    above = float(np.nextafter(score, 2.0))
    assert not verify(A, B, analyzer=analyzer, threshold=above).match


@pytest.mark.parametrize(("fmr", "value"), [(0.1, 0.3), (0.01, 0.5), (0.02, 0.5), (0.001, 0.9)])
def test_the_threshold_is_that_of_the_rate_asked_for(fmr, value, analyzer):
    limit = verify(A, B, analyzer=analyzer, fmr=fmr).threshold
    assert (limit.value, limit.impostor_pairs) == (value, 1000)
    assert limit.fmr <= fmr


def test_a_stated_threshold_is_told_with_its_measured_rate(analyzer):
    limit = verify(A, B, analyzer=analyzer, threshold=0.6).threshold
    assert (limit.value, limit.fmr, limit.false_matches) == (0.6, 0.01, 10)


def test_the_rate_of_the_score_itself_is_told(analyzer):
    assert verify(A, A, analyzer=analyzer, fmr=0.1).score_fmr == 0.0
    answer = verify(A, B, analyzer=analyzer, fmr=0.1)
    assert answer.score_fmr == analyzer.calibration.fmr_of(answer.score)


# --- what is told -------------------------------------------------------------------------


def test_the_answer_begins_with_match_and_score_and_is_plain_json(analyzer):
    told = verify(A, B, analyzer=analyzer, fmr=0.01).to_dict()
    assert list(told)[:4] == ["match", "score", "threshold", "fmr"]
    assert json.loads(json.dumps(told)) == told
    assert (told["threshold"], told["fmr"], told["impostor_pairs"]) == (0.5, 0.01, 1000)
    assert told["threshold_source"].startswith("hand-made set: 1000 impostor")
    assert (told["model"], told["detector"]) == ("toy-embedder", "one-face")
    assert told["contract"] == analyzer.contract_id
    assert set(told["faces"]) == {"a", "b"}
    assert "embeddings" not in json.dumps(told)


def test_what_was_assumed_about_the_models_is_a_warning(analyzer):
    warnings = verify(A, B, analyzer=analyzer, fmr=0.01).warnings
    assert any("input taken to be RGB" in warning for warning in warnings)


def test_the_largest_of_several_faces_is_used_and_told(analyzer):
    small = np.array([0, 0, 5, 5], np.float32)
    detect = analyzer.detector.detect

    def two(image):
        found = detect(image)
        return Faces(
            boxes=np.stack([small, found.boxes[0]]),
            scores=np.array([0.99, 0.9], np.float32),
            landmarks=np.concatenate([found.landmarks + 1, found.landmarks]),
        )

    alone = verify(A, B, analyzer=analyzer, fmr=0.01)
    analyzer.detector.detect = two
    answer = verify(A, B, analyzer=analyzer, fmr=0.01)
    assert answer.score == pytest.approx(alone.score, abs=1e-6)
    assert answer.faces == alone.faces
    assert {"a: 2 faces found, the largest used", "b: 2 faces found, the largest used"} <= set(
        answer.warnings
    )


def test_a_card_of_the_same_detector_gives_no_warning(analyzer):
    assert verification.calibration_warnings(analyzer) == []


def test_another_detector_than_the_cards_gives_a_warning(analyzer, embedder_file, tmp_path):
    other = toy_detector(tmp_path / "other.onnx", scores=(0.8,))
    changed = FaceAnalyzer(other, embedder_file, options=OPTIONS, canvas=160)
    changed.calibration = analyzer.calibration
    warnings = verify(A, B, analyzer=changed, fmr=0.01).warnings
    assert any("measured with detector one-face" in warning for warning in warnings)


def test_flip_gives_a_warning_too(analyzer, detector_file, embedder_file):
    flip = FaceAnalyzer(detector_file, embedder_file, options=OPTIONS, canvas=160, flip=True)
    flip.calibration = analyzer.calibration
    assert any("--flip" in w for w in verify(A, B, analyzer=flip, fmr=0.01).warnings)


def test_a_path_the_bytes_and_the_array_are_one_photograph(analyzer, tmp_path):
    data = encode_image(A, ".png")
    (tmp_path / "a.png").write_bytes(data)
    for source in (tmp_path / "a.png", data, A):
        assert verify(source, A, analyzer=analyzer, fmr=0.1).score == pytest.approx(1.0, abs=1e-6)


def test_the_default_analyzer_is_opened_once(monkeypatch, analyzer):
    opened = []
    monkeypatch.setattr(verification, "FaceAnalyzer", lambda **o: opened.append(o) or analyzer)
    verification.default_analyzer.cache_clear()
    try:
        verify(A, B, fmr=0.1)
        verify(A, B, fmr=0.1)
    finally:
        verification.default_analyzer.cache_clear()
    assert opened == [{"policy": "largest"}]


# --- refusals -----------------------------------------------------------------------------


@pytest.mark.parametrize("side", ["a", "b"])
def test_a_photograph_without_a_face_is_named(side, analyzer):
    detect = analyzer.detector.detect
    analyzer.detector.detect = lambda image: detect(image) if image.any() else Faces.none()
    black = np.zeros_like(A)
    pair = (black, A) if side == "a" else (A, black)
    words = f"no face found in {side}. Is it upright, in focus, and larger than 20 pixels?"
    with pytest.raises(NoFace, match=words.replace("?", r"\?")):
        verify(*pair, analyzer=analyzer, fmr=0.1)


def test_a_face_that_the_gate_left_out_is_told_with_its_reason(analyzer):
    analyzer.gate = QualityGate(min_size_px=500)
    with pytest.raises(NoFace, match=r"no face found in a: face at .* 84 px is under the 500 px"):
        verify(A, B, analyzer=analyzer, fmr=0.1)


def test_a_side_that_cannot_be_read_is_refused(analyzer):
    with pytest.raises(BadImage, match="image"):
        verify(A, b"no picture", analyzer=analyzer, fmr=0.1)


def test_without_a_card_no_threshold_is_made_up(bare):
    words = "model toy-embedder has no calibration, so no threshold has a known error rate; run"
    with pytest.raises(NotFound, match=words):
        verify(A, B, analyzer=bare)


def test_without_a_card_a_stated_threshold_has_no_rate(bare):
    answer = verify(A, B, analyzer=bare, threshold=0.2)
    assert answer.to_dict()["fmr"] is None
    assert answer.threshold.source == "stated by the user, never measured"
    assert answer.score_fmr is None


def test_a_rate_below_what_the_card_can_tell_is_refused(analyzer):
    with pytest.raises(NotEnoughData, match=r"FMR 0.0001 cannot be told from 1000 impostor pairs"):
        verify(A, B, analyzer=analyzer)


def test_a_card_of_another_model_is_refused_when_the_models_are_opened(
    bare, detector_file, embedder_file, tmp_path
):
    model = tmp_path / "mine.onnx"
    model.write_bytes(embedder_file.read_bytes())
    card_of(bare, tmp_path, model_sha256="1" * 64)
    (tmp_path / "toy.calibration.json").rename(tmp_path / "mine.calibration.json")
    with pytest.raises(BadFile, match=r"calibration of mine was made for a model with SHA-256 111"):
        FaceAnalyzer(detector_file, model, options=OPTIONS)


def test_another_canvas_or_precision_than_the_cards_gives_a_warning(analyzer):
    card = analyzer.calibration
    told = {"engine": "onnxruntime", "precision": "float32", "canvas": [640, 640]}
    analyzer.calibration = replace(card, settings=told)
    assert verification.calibration_warnings(analyzer) == []
    analyzer.calibration = replace(card, settings=told, contract="tronie-1-other")
    (warning,) = verification.calibration_warnings(analyzer)
    assert "with detector one-face on the canvas [640, 640]; this run differs" in warning
    analyzer.calibration = replace(card, settings={**told, "precision": "stored"})
    (warning,) = verification.calibration_warnings(analyzer)
    assert warning == (
        "the error rates were measured in precision stored on onnxruntime; this run is in "
        "float32 on onnxruntime, so they may differ"
    )
    analyzer.calibration = replace(card, settings={**told, "engine": "openvino"})
    assert verification.calibration_warnings(analyzer) == []  # float32 is float32


def test_an_analyzer_that_embeds_nothing_is_refused_in_words(detector_file):
    blind = FaceAnalyzer(detector_file, None, options=OPTIONS, canvas=160)
    with pytest.raises(BadInput, match="made with model=None and embeds nothing; name a model"):
        verify(A, B, analyzer=blind, threshold=0.5)


# --- one face -----------------------------------------------------------------------------


def test_one_face_takes_the_largest_box_and_says_what_it_left():
    faces = Faces(
        boxes=np.array([[0, 0, 10, 10], [0, 0, 30, 20], [0, 0, 20, 29]], np.float32),
        scores=np.array([0.9, 0.8, 0.7], np.float32),
        notes=("face at x left out",),
    )
    kept, notes = one_face(faces, what="p.jpg")
    np.testing.assert_array_equal(kept.boxes, [[0, 0, 30, 20]])
    assert notes == ("face at x left out", "3 faces found, the largest used")


def test_no_face_at_all_is_refused_by_the_name_of_the_photograph():
    with pytest.raises(NoFace, match=r"no face found in p\.jpg: too small"):
        one_face(Faces.none(notes=("too small",)), what="p.jpg")


def test_the_default_pair_has_a_card_that_fits_it(default_pair):
    """The card that ships was measured with exactly what a user gets."""
    found = FaceAnalyzer(options=OPTIONS)
    assert found.calibration is not None
    assert verification.calibration_warnings(found) == []
    assert found.assumed == ()
    assert threshold_for(found, fmr=1e-4, threshold=None).fmr <= 1e-4
