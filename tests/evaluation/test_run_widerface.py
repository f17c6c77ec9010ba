"""WIDER FACE from files: predictions, any callable that detects, and the exact oracle."""

from __future__ import annotations

import io
import tarfile
import time

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from tronie.errors import BadInput, NotFound
from tronie.evaluation.run_widerface import (
    NMS_THRESHOLD,
    SCORE_THRESHOLD,
    evaluate_widerface,
    score_predictions,
)
from tronie.images.io import decode_image
from tronie.runtime.detector import Detector
from tronie.runtime.session import EngineOptions
from tronie.runtime.zoo import find, open_model

FACE = np.array([[10.0, 20.0, 40.0, 60.0]])


def cells(values: list) -> np.ndarray:
    array = np.empty((len(values), 1), object)
    for n, value in enumerate(values):
        array[n, 0] = value
    return array


@pytest.fixture
def folder(tmp_path):
    """Photographs a and b of the original width and c resized, each with one face."""
    names = ["a", "b", "c"]
    savemat(
        tmp_path / "wider_face_val.mat",
        {
            "event_list": cells(["e"]),
            "file_list": cells([cells(names)]),
            "face_bbx_list": cells([cells([np.array([[10, 20, 30, 40]])] * 3)]),
        },
    )
    for subset in ("easy", "medium", "hard"):
        lists = cells([cells([np.array([[1]])] * 3)])
        savemat(tmp_path / f"wider_{subset}_val.mat", {"gt_list": lists})
    with tarfile.open(tmp_path / "photos.tar", "w") as archive:
        for name, width in zip(names, (1024, 1024, 800), strict=True):
            file = io.BytesIO()
            Image.fromarray(np.zeros((64, width, 3), np.uint8)).save(file, "JPEG")
            member = tarfile.TarInfo(f"e/{name}.jpg")
            member.size = file.tell()
            file.seek(0)
            archive.addfile(member, file)
    return tmp_path


def finds_it(photo: bytes):
    """The face, and a wrong one of the lowest score."""
    assert decode_image(photo).shape == (64, 1024, 3)
    return np.concatenate([FACE, FACE + 200]), np.array([0.9, 0.1])


def test_a_callable_is_judged_on_the_originals_that_are_there(folder):
    seen = []
    report = evaluate_widerface(folder, finds_it, progress=lambda *done: seen.append(done))
    assert report.values["hard"].value == 1.0
    assert (report.values["hard"].count, report.values["hard"].total) == (2, 2)
    assert report.notes[0].startswith("judged on 2 of 3 photographs")
    assert report.notes[1].startswith("1 photographs were left out: they had been resized")
    assert (seen[0], seen[-1]) == ((0, 3), (3, 3))
    assert set(report.provenance.inputs) == {
        "wider_face_val.mat", "wider_easy_val.mat", "wider_medium_val.mat", "wider_hard_val.mat"
    }  # fmt: skip


def test_photographs_can_be_chosen(folder):
    report = evaluate_widerface(folder, finds_it, names=["e/b", "e/b"], inputs={"model": "0" * 64})
    assert report.values["photographs"].count == 1
    assert report.provenance.inputs["model"] == "0" * 64


def test_a_chosen_photograph_that_was_resized_is_refused(folder):
    with pytest.raises(BadInput, match="e/c was resized: originals are 1024 pixels wide"):
        evaluate_widerface(folder, finds_it, names=["e/c"])


def test_a_chosen_photograph_that_is_not_there_is_named(folder):
    with pytest.raises(NotFound, match=r"1 of the 2 photographs asked for .* first is e/d"):
        evaluate_widerface(folder, finds_it, names=["e/a", "e/d"])


def test_predictions_on_disk_are_judged_whole_or_in_part(folder):
    for name in ("a", "b"):
        (folder / "found" / "e").mkdir(parents=True, exist_ok=True)
        (folder / "found" / "e" / f"{name}.txt").write_text(
            f"{name}\n2\n10 20 30 40 0.9\n200 200 9 9 0.1\n"
        )
    whole = score_predictions(folder, folder / "found")
    assert (whole.values["easy"].count, whole.values["easy"].total) == (2, 3)
    part = score_predictions(folder, folder / "found", names=["e/a"])
    assert (part.values["easy"].value, part.values["easy"].total) == (1.0, 1)


@pytest.mark.data
def test_public_predictions_give_the_reference_numbers_to_six_digits(test_data):
    wider = test_data / "wider"
    start = time.perf_counter()
    report = score_predictions(wider, wider / "retinaface_mnet025_original_scale.npz")
    assert time.perf_counter() - start < 20
    assert report.values["easy"].value == pytest.approx(0.9069584, abs=5e-7)
    assert report.values["medium"].value == pytest.approx(0.8815791, abs=5e-7)
    assert report.values["hard"].value == pytest.approx(0.7382863, abs=5e-7)
    assert report.values["photographs"].count == 3226


@pytest.mark.data
@pytest.mark.slow
def test_a_published_detector_reaches_its_numbers_on_the_photographs_that_are_there(test_data):
    """Within 0.15 points of 94.03 / 91.32 / 66.42, measured with other code.

    The rest is the published suppression, which counts pixels and which we keep for this format:
    without it the numbers are 94.03 / 91.36 / 66.44. The other 708 photographs of the folder
    were resized and must be left out.
    """
    model = find(test_data / "weights" / "scrfd_2.5g_kps_dyn.onnx")
    session, contract = open_model(model, EngineOptions(), kind="detector")
    detector = Detector(
        session,
        contract,
        canvas=640,
        score_threshold=SCORE_THRESHOLD,
        nms_threshold=NMS_THRESHOLD,
    )

    def detect(photo: bytes):
        faces = detector.detect(decode_image(photo))
        return faces.boxes, faces.scores

    report = evaluate_widerface(test_data / "wider", detect)
    assert report.values["photographs"].count == 183
    found = [report.values[subset].value for subset in ("easy", "medium", "hard")]
    assert found == pytest.approx([0.9403, 0.9132, 0.6642], abs=0.0015)
