"""evaluate over all pairs of a matrix: from files, or from photographs embedded on the way."""

from __future__ import annotations

import json as jsonlib

import numpy as np
import pytest

from tronie.data.readers.features import write_features
from tronie.evaluation.protocols import lfr19_image, mfr21
from tronie.evaluation.report import Report
from tronie.geometry.hypersphere import normalize


@pytest.fixture
def matrix(tmp_path):
    """Forty people with five rows each, and the float64 scores of all pairs, sorted out."""
    random = np.random.default_rng(3)
    people = np.repeat(np.arange(40), 5)
    rows = random.normal(size=(40, 16))[people] + 0.9 * random.normal(size=(200, 16))
    unit = normalize(rows)[0]
    np.save(tmp_path / "M.npy", unit)
    np.save(tmp_path / "L.npy", people)
    scores = unit.astype(np.float64) @ unit.astype(np.float64).T
    upper = np.triu(np.ones((200, 200), bool), 1)
    same = people[:, None] == people[None, :]
    return tmp_path, scores[upper & same], scores[upper & ~same]


def test_all_pairs_of_a_matrix_answer_as_a_sorted_list_does(cli_here, matrix):
    folder, genuine, impostor = matrix
    ran = cli_here(
        "evaluate", "pairs", "--features", folder / "M.npy", "--labels", folder / "L.npy",
        "--far", "1e-2", "--far", "1e-3", "--json",
    )  # fmt: skip
    assert ran.code == 0, ran.err
    loose, tight = ran.json_lines()
    keys = ["far", "threshold", "tar", "achieved_far", "false_matches", "impostor_pairs"]
    for point, far in ((loose, 1e-2), (tight, 1e-3)):
        assert list(point)[:6] == keys
        allowed = int(far * len(impostor) + 1e-9)
        refused = np.sort(impostor)[::-1][allowed]
        assert point["far"] == far
        assert point["impostor_pairs"] == len(impostor)
        assert point["genuine_pairs"] == len(genuine) == 400
        assert point["false_matches"] == allowed
        assert point["threshold"] == pytest.approx(refused, abs=1e-12)
        assert point["tar"] == np.count_nonzero(genuine >= point["threshold"]) / 400


def test_pairs_for_people_are_a_table_and_the_full_record_a_file(cli_here, matrix, tmp_path):
    folder, _, impostor = matrix
    report = tmp_path / "pairs.json"
    ran = cli_here(
        "evaluate", "pairs", "--features", folder / "M.npy", "--labels", folder / "L.npy",
        "--far", "0.01", "--report", report,
    )  # fmt: skip
    assert ran.code == 0, ran.err
    assert "false matches" in ran.out
    assert "tar_at_far_0.01" in ran.out
    assert "misses at FAR 0.01, most by label: " in ran.out
    assert f"{len(impostor)} impostor" in ran.err
    told = jsonlib.loads(report.read_text())
    assert [point["far"] for point in told["details"]["points"]] == [0.01]
    assert any(point["sampled"] for point in told["details"]["curves"][0]["points"])


def test_a_matrix_that_is_not_normalized_is_refused_until_it_is_said(cli_here, matrix):
    folder, _, _ = matrix
    np.save(folder / "M.npy", 3 * np.load(folder / "M.npy"))
    words = ["--features", folder / "M.npy", "--labels", folder / "L.npy", "--far", "0.01"]
    ran = cli_here("evaluate", "pairs", *words)
    assert (ran.code, ran.out) == (2, "")
    assert "length" in ran.err
    assert cli_here("evaluate", "pairs", *words, "--normalize").code == 0


def test_groups_and_a_sampled_end_are_told(cli_here, matrix):
    folder, _, _ = matrix
    people = np.load(folder / "L.npy")
    np.save(folder / "G.npy", np.where(people % 2, "odd", "even"))
    ran = cli_here(
        "evaluate", "pairs", "--features", folder / "M.npy", "--labels", folder / "L.npy",
        "--far", "0.1", "--far", "0.001", "--sample-from", "0.05", "--sample-pairs", "5000",
        "--groups", folder / "G.npy", "--json",
    )  # fmt: skip
    loose, tight = ran.json_lines()
    assert (loose["sampled"], loose["impostor_pairs"]) == (True, 5000)
    assert not tight["sampled"]
    assert [rate["group"] for rate in tight["groups"][0]["rates"]] == ["even", "odd"]


def test_neither_matrix_nor_images_and_a_matrix_without_labels_are_refused(cli_here, matrix):
    folder, _, _ = matrix
    ran = cli_here("evaluate", "pairs", "--far", "0.01")
    assert ran.code == 2
    assert "give --features M.npy, or --images DIR to embed; one of them" in ran.err
    ran = cli_here("evaluate", "pairs", "--features", folder / "M.npy", "--far", "0.01")
    assert ran.code == 2
    assert "give --labels L.npy with --features" in ran.err


def test_mfr21_answers_with_its_score_first(cli_here, tmp_path, monkeypatch):
    for name in ("FAR_MASK", "FAR_CHILDREN", "FAR_RACES"):
        monkeypatch.setattr(mfr21, name, 0.01)
    rng = np.random.default_rng(0)
    lines, people = ["set,subject"], []
    for n, name in enumerate(mfr21.KNOWN):
        for who in range(8):
            person = who if name.startswith("mask") else 100 * n + who
            lines += [f"{name},{person}"] * 3
            people += [person] * 3
    centers = {who: rng.normal(size=8) for who in people}
    rows = np.stack([centers[who] for who in people]) + rng.normal(size=(len(people), 8))
    write_features(tmp_path / "M.npy", normalize(rows)[0])
    (tmp_path / "META").write_text("\n".join(lines) + "\n")
    words = ["--features", tmp_path / "M.npy", "--meta", tmp_path / "META"]
    ran = cli_here("evaluate", "mfr21", *words, "--json", "--report", tmp_path / "R.json")
    assert ran.code == 0, ran.err
    (told,) = ran.json_lines()
    assert next(iter(told)) == "score"
    assert told["score"] == 0.25 * told["mask"] + 0.75 * told["mr-all"]
    report = Report.from_json((tmp_path / "R.json").read_text())
    assert report.values["mask"].value == told["mask"]
    table = cli_here("evaluate", "mfr21", *words)
    assert table.code == 0
    assert "group at FAR 0.01" in table.out
    assert "* rests on fewer than 30 errors" in table.out


def test_lfr19_reads_the_form_of_its_challenge(cli_here, tmp_path, monkeypatch):
    monkeypatch.setattr(lfr19_image, "HEADLINE", 0.001)
    rng = np.random.default_rng(0)
    people = np.append(np.repeat(np.arange(30), 4), [-1] * 20)
    rows = rng.normal(size=(31, 8))[people] + rng.normal(size=(140, 8))
    write_features(tmp_path / "features.bin", normalize(rows)[0])
    lines = ["subject", *map(str, people)]
    (tmp_path / "META").write_text("\n".join(lines) + "\n")
    words = ["--features", tmp_path / "features.bin", "--meta", tmp_path / "META", "--json"]
    (told,) = cli_here("evaluate", "lfr19-image", *words).json_lines()
    assert told["score"] == told["tar_at_far_0.001"]
    fars = {point["far"] for point in told["details"]["points"]}
    assert fars == {0.1, 0.01, 0.001}
    assert not any(point["sampled"] for point in told["details"]["points"])  # few pairs: all
    (exact,) = cli_here("evaluate", "lfr19-image", *words, "--exact").json_lines()
    assert exact["details"]["points"] == told["details"]["points"]


def test_photographs_are_embedded_on_the_way(cli_here, toy, lfw, tmp_path):
    """The toy model is right about its toys, from a folder a person and from a list."""
    out = tmp_path / "M.npy"
    words = ["--far", "0.1", "--features-out", out, *toy.words, "--json"]
    people = [folder for folder in sorted(lfw.iterdir()) if folder.is_dir()]
    ran = cli_here("evaluate", "pairs", *(w for p in [lfw] for w in ("--images", p)), *words)
    assert ran.code == 0, ran.err
    (told,) = ran.json_lines()
    photos = sorted(lfw.rglob("*.jpg"))
    assert told["rows"] == len(photos) == len(np.load(out))
    assert told["tar"] == 1.0
    refused = cli_here("evaluate", "pairs", "--images", lfw, *words)
    assert refused.code == 2
    assert "M.npy is there and would be replaced; name another file" in refused.err
    out.unlink()
    listed = [str(photo.relative_to(lfw)) for photo in photos]
    (lfw / "list.txt").write_text("\n".join(listed) + "\n")
    (tmp_path / "L.txt").write_text("\n".join(p.parent.name for p in photos) + "\n")
    ran = cli_here("evaluate", "pairs", "--images", lfw / "list.txt", *words)
    assert "a list of images does not say who they show; give --labels" in ran.err
    words += ["--labels", tmp_path / "L.txt"]
    (same,) = cli_here("evaluate", "pairs", "--images", lfw / "list.txt", *words).json_lines()
    assert same["genuine_pairs"] == told["genuine_pairs"]
    assert len({label["labels"][0] for label in told["worst_impostors"]}) <= len(people)
