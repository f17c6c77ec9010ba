"""IJB from files on disk, in a set small enough for loops."""

from __future__ import annotations

import numpy as np
import pytest

from tronie.errors import BadArray, BadFile, BadInput, NotFound
from tronie.evaluation import run_ijb
from tronie.evaluation.run_ijb import evaluate_ijb, evaluate_ijb_identification
from tronie.geometry.templates import pool

RNG = np.random.default_rng(0)
SUBJECTS = np.repeat(np.arange(12), 2)  # of the templates 500, 501, ...
TEMPLATE = np.repeat(np.arange(24), 3)
MEDIA = np.tile([0, 0, 1], 24)
NAMES = 500 + np.arange(24)


def feature_rows(noise=0.5):
    centers = RNG.normal(size=(12, 16))
    return (centers[SUBJECTS[TEMPLATE]] + noise * RNG.normal(size=(72, 16))).astype(np.float32)


FEATURES = feature_rows()
WEIGHTS = RNG.uniform(0.5, 1, 72).round(3)
FIRST, SECOND = np.triu_indices(24, k=1)
SAME = SUBJECTS[FIRST] == SUBJECTS[SECOND]


@pytest.fixture
def folder(tmp_path):
    """A set of 24 templates of 12 subjects, compared each with each; and its features."""
    lines = {
        "face_tid_mid.txt": [f"{n}.jpg {500 + TEMPLATE[n]} {MEDIA[n]}" for n in range(72)],
        "template_pair_label.txt": [
            f"{NAMES[i]} {NAMES[j]} {int(same)}"
            for i, j, same in zip(FIRST, SECOND, SAME, strict=True)
        ],
        "name_5pts_score.txt": [f"{n}.jpg {'1 ' * 10}{WEIGHTS[n]}" for n in range(72)],
        "1N_gallery_G1.csv": [
            "TEMPLATE_ID,SUBJECT_ID",
            *(f"{500 + t},{t // 2}" for t in (0, 2, 4)),
        ],
        "1N_gallery_G2.csv": ["TEMPLATE_ID,SUBJECT_ID", *(f"{500 + t},{t // 2}" for t in (6, 8))],
        "1N_probe_mixed.csv": [
            "TEMPLATE_ID,SUBJECT_ID,FILENAME",
            *(f"{500 + t},{t // 2},x.jpg" for t in range(1, 24, 2)),
        ],
    }
    (tmp_path / "meta").mkdir()
    for name, content in lines.items():
        (tmp_path / "meta" / f"ijbc_{name}").write_text("\n".join(content) + "\n")
    np.save(tmp_path / "F.npy", FEATURES)
    return tmp_path


def scores_by_hand(weights=None):
    templates = pool(
        FEATURES, TEMPLATE, pooling="media_then_sum", media_of=MEDIA, weights=weights
    ).unit.astype(float)
    return (templates[FIRST] * templates[SECOND]).sum(axis=1)


def test_one_to_one_is_the_pooled_templates_compared_as_listed(folder):
    report = evaluate_ijb(folder, folder / "F.npy", fars=[0.1, 1e-6], beside="nearest")
    scores = scores_by_hand()
    allowed = int(0.1 * (~SAME).sum())
    limit = np.sort(scores[~SAME])[-1 - allowed]
    value = report.values["tar_at_far_0.1"]
    assert (value.count, value.total) == (np.count_nonzero(scores[SAME] > limit), 12)
    assert report.values["impostor_pairs"].value == (~SAME).sum()
    assert "tar_nearest_0.1" in report.values
    assert {point.of for point in report.details.points} == {"IJB-C"}
    assert report.notes[-1] == "templates: media_then_sum, weights: none"
    assert {*report.provenance.inputs} == {
        "features",
        "ijbc_face_tid_mid.txt",
        "ijbc_template_pair_label.txt",
    }


def test_the_detector_s_scores_weigh_the_rows(folder):
    report = evaluate_ijb(folder / "meta", folder / "F.npy", fars=[0.1], weighting="detector")
    scores = scores_by_hand(WEIGHTS)
    limit = np.sort(scores[~SAME])[-1 - int(0.1 * (~SAME).sum())]
    assert report.details.points[0].threshold == pytest.approx(limit, abs=1e-6)
    assert report.notes[-1] == "templates: media_then_sum, weights: detector"
    assert "ijbc_name_5pts_score.txt" in report.provenance.inputs


def test_scores_made_elsewhere_are_judged_alike(folder):
    ours = evaluate_ijb(folder, folder / "F.npy", fars=[0.1])
    theirs = evaluate_ijb(folder, None, scores=scores_by_hand(), fars=[0.1])
    assert theirs.values == ours.values
    assert theirs.notes[-1] == "the scores of the pairs were handed in"
    assert {*theirs.provenance.inputs} == {"ijbc_template_pair_label.txt"}


def test_one_to_many_searches_every_gallery_of_the_folder(folder):
    report = evaluate_ijb_identification(
        folder, folder / "F.npy", fpirs=[0.2], inputs={"m": "0" * 64}
    )
    templates = pool(FEATURES, TEMPLATE, pooling="media_then_sum", media_of=MEDIA).unit
    for name, gallery in (("G1", [0, 2, 4]), ("G2", [6, 8])):
        scores = templates[1::2].astype(float) @ templates[gallery].astype(float).T
        mine = SUBJECTS[1::2][:, None] == SUBJECTS[gallery][None, :]
        mated = mine.any(axis=1)
        strangers = np.sort(scores[~mated].max(axis=1))
        limit = strangers[-1 - int(0.2 * len(strangers))]
        own = np.where(mine, scores, 0).max(axis=1)[mated]
        others = np.where(mine, -1, scores).max(axis=1)[mated]
        value = report.values[f"{name}_tpir_at_fpir_0.2"]
        assert (value.count, value.total) == (
            np.count_nonzero((own > others) & (own > limit)),
            len(gallery),
        )
    assert report.values["rank_1"].total == 5
    assert report.notes[-1] == "IJB-C; templates: media_then_sum, weights: none"
    assert len(report.provenance.inputs) == 6


def test_a_folder_without_lists_is_refused(tmp_path):
    with pytest.raises(NotFound, match=r"^there is no ijbb_face_tid_mid.txt and no ijbc_face"):
        evaluate_ijb(tmp_path, tmp_path / "F.npy")


def test_a_folder_of_both_sets_is_refused(folder):
    (folder / "meta" / "ijbb_face_tid_mid.txt").write_text("a 1 1\n")
    with pytest.raises(BadInput, match=r"holds the lists of IJB-B and of IJB-C; keep them apart"):
        evaluate_ijb(folder, folder / "F.npy")


def test_a_folder_without_a_gallery_is_refused(folder):
    for name in ("G1", "G2"):
        (folder / "meta" / f"ijbc_1N_gallery_{name}.csv").unlink()
    with pytest.raises(NotFound, match=r"^there is no gallery ijbc_1N_gallery_\*\.csv in "):
        evaluate_ijb_identification(folder, folder / "F.npy")


def test_a_matrix_of_another_length_is_refused(folder):
    np.save(folder / "F.npy", FEATURES[1:])
    with pytest.raises(BadArray, match=r"tid_mid\.txt needs a row; it has 72 lines and .* 71 rows"):
        evaluate_ijb(folder, folder / "F.npy")


def test_a_pair_of_an_unknown_template_is_refused(folder):
    with (folder / "meta" / "ijbc_template_pair_label.txt").open("a") as file:
        file.write("500 999 0\n")
    with pytest.raises(BadFile, match=r"pair_label\.txt names template 999, which no image belong"):
        evaluate_ijb(folder, folder / "F.npy")


def test_detector_scores_of_other_images_are_refused(folder):
    path = folder / "meta" / "ijbc_name_5pts_score.txt"
    path.write_text(path.read_text().replace("7.jpg", "x.jpg", 1))
    with pytest.raises(
        BadFile, match=r"score\.txt:8: must name the images of .*tid_mid\.txt in it"
    ):
        evaluate_ijb(folder, folder / "F.npy", weighting="detector")


def test_a_template_of_two_subjects_is_refused(folder):
    path = folder / "meta" / "ijbc_1N_gallery_G2.csv"
    path.write_text(path.read_text() + "504,9\n")
    with pytest.raises(
        BadFile, match=r"^template 504 shows subject 9 in one list of .* and 2 in an"
    ):
        evaluate_ijb_identification(folder, folder / "F.npy")


def test_scores_that_do_not_fit_are_refused(folder):
    with pytest.raises(BadArray, match=r"^each of the 276 pairs of .* needs a score; got .*\(3,\)"):
        evaluate_ijb(folder, None, scores=np.ones(3))


def test_both_and_neither_are_refused(folder):
    with pytest.raises(BadInput, match=r"from features or from scores of its pairs; got both$"):
        evaluate_ijb(folder, folder / "F.npy", scores=np.ones(276))
    with pytest.raises(BadInput, match=r"from features or from scores of its pairs; got neither$"):
        evaluate_ijb(folder, None)


def test_an_unknown_weighting_is_refused(folder):
    with pytest.raises(
        BadInput, match=r"^there is no weighting 'norm'; choose from none, detector"
    ):
        evaluate_ijb(folder, folder / "F.npy", weighting="norm")


def test_progress_counts_pairs_and_searches_of_both_galleries(folder, monkeypatch):
    told = []

    def progress(*counts):
        told.append(counts)

    monkeypatch.setattr(run_ijb, "_PAIRS_AT_ONCE", 200)
    plain = evaluate_ijb(folder, folder / "F.npy", fars=[0.1], progress=progress)
    assert told == [(200, 276), (276, 276)]
    monkeypatch.undo()
    assert evaluate_ijb(folder, folder / "F.npy", fars=[0.1]).details == plain.details
    told.clear()
    evaluate_ijb_identification(folder, folder / "F.npy", fpirs=[0.25], progress=progress)
    # 12 probes in galleries of 3 and of 2; in each, those of its people come first.
    assert told == [(9, 60), (36, 60), (40, 60), (60, 60)]
