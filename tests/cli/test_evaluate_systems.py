"""evaluate of models that run here, and of matrices with failures to enroll."""

from __future__ import annotations

import pickle
import re

import numpy as np
import pytest

from tronie.data.readers.features import write_features
from tronie.evaluation.run_frvt import prepare_frvt, score_frvt_pairs
from tronie.evaluation.run_ytf import evaluate_ytf
from tronie.geometry.hypersphere import normalize
from tronie.images.io import encode_image

RNG = np.random.default_rng(0)


def test_lfw_bin_embeds_crops_and_their_mirror_images(cli_here, toy, tmp_path):
    """Twelve pairs; both crops of a genuine one are the same picture."""
    crops = [RNG.integers(0, 255, (112, 112, 3), dtype=np.uint8) for _ in range(24)]
    same = [n % 2 == 0 for n in range(12)]
    images = []
    for n, genuine in enumerate(same):
        images += [crops[2 * n], crops[2 * n if genuine else 2 * n + 1]]
    encoded = [encode_image(image, ".png") for image in images]
    (tmp_path / "toys.bin").write_bytes(pickle.dumps((encoded, same), protocol=2))
    words = ["evaluate", "lfw-bin", "--data", tmp_path / "toys.bin", "--model", toy.model]
    ran = cli_here(*words, "--json")
    assert ran.code == 0, ran.err
    (told,) = ran.json_lines()
    assert list(told)[:2] == ["accuracy", "std"]
    assert (told["pairs"], told["flip"], told["model"]) == (12, True, "toy")
    (plain,) = cli_here(*words, "--no-flip", "--json", "--name", "others").json_lines()
    assert plain["flip"] is False
    assert "others.bin" in plain["provenance"]["inputs"]


def test_fruits_times_the_whole_system_and_refuses_a_slow_one(cli_here, toy, lfw, tmp_path):
    photos = sorted(lfw.rglob("*.jpg"))
    lines = ["photo,subject,masked,race"]
    for n, photo in enumerate(photos):
        lines.append(f"{photo.relative_to(lfw)},{photo.parent.name},{n % 2},{'ab'[n % 4 // 2]}")
    (tmp_path / "META.csv").write_text("\n".join(lines) + "\n")
    words = ["evaluate", "fruits", "--meta", tmp_path / "META.csv", "--images", lfw, *toy.words]
    ran = cli_here(*words, "--track", "fruits-1000", "--fmr", "0.1", "--json")
    assert ran.code == 0, ran.err
    (told,) = ran.json_lines()
    assert told["model"] == "toy"
    assert 0 < told["time_mean"] < 1
    assert {groups["of"] for groups in told["details"]["groups"]} == {"race"}
    few = cli_here(*words, "--track", "fruits-1000")
    assert few.code == 2
    assert "needs at least 100000 impostor pairs" in few.err


@pytest.fixture
def faces(tmp_path):
    people = np.repeat(np.arange(30), 4)
    rows = normalize(RNG.normal(size=(30, 8))[people] + RNG.normal(size=(120, 8)))[0]
    write_features(tmp_path / "M.npy", rows)
    lines = ["subject,photo,failed", *(f"{p},{n}.jpg,{int(n == 5)}" for n, p in enumerate(people))]
    (tmp_path / "META.csv").write_text("\n".join(lines) + "\n")
    pairs = [f"{i}.jpg {j}.jpg {int(i // 4 == j // 4)}" for i in range(60) for j in range(i)]
    (tmp_path / "pairs.txt").write_text("\n".join(pairs) + "\n")
    return tmp_path


def test_frvt_counts_failed_templates_over_all_pairs_and_over_a_list(cli_here, faces):
    features, meta = faces / "M.npy", faces / "META.csv"
    words = ["evaluate", "frvt", "--features", features, "--meta", meta, "--form", "wild"]
    words += ["--fmr", "0.01", "--json"]
    (told,) = cli_here(*words).json_lines()
    expected = prepare_frvt(features, meta, form="wild", fmrs=[0.01]).run()
    assert {name: told[name] for name in expected.values} == {
        name: value.value for name, value in expected.values.items()
    }
    (listed,) = cli_here(*words, "--pairs", faces / "pairs.txt").json_lines()
    expected = score_frvt_pairs(features, meta, faces / "pairs.txt", form="wild", fmrs=[0.01])
    assert {name: listed[name] for name in expected.values} == {
        name: value.value for name, value in expected.values.items()
    }
    assert told["details"]["points"] != listed["details"]["points"]


def test_frvt_refuses_a_checkpoint_of_a_list_and_says_what_its_rows_must_be(cli_here, faces):
    words = ["evaluate", "frvt", "--features", faces / "M.npy", "--meta", faces / "META.csv"]
    ran = cli_here(
        *words, "--form", "wild", "--pairs", faces / "pairs.txt", "--checkpoint", faces / "c"
    )
    assert ran.code == 2
    assert re.search(r"--checkpoint .*c is for all pairs; .* leave it away with --pairs", ran.err)
    told = " ".join(cli_here("evaluate", "frvt", "--help").out.replace("│", " ").split())
    assert "of length 1; others with --normalize" in told
    assert "--checkpoint and --threads have no part then" in told
    assert "any length" not in told


def test_ytf_pools_the_frames_of_each_video(cli_here, tmp_path):
    lines, frames = ["split, pair, first, second, same"], []
    for n in range(10):
        lines += [f"{n + 1}, 1, A{n}/0, A{n}/1, 1", f"{n + 1}, 2, A{n}/0, B{n}/0, 0"]
        frames += [f"A{n}/0"] * 3 + [f"A{n}/1"] * 3 + [f"B{n}/0"] * 3
    (tmp_path / "splits.txt").write_text("\n".join(lines) + "\n")
    (tmp_path / "META.csv").write_text("video\n" + "\n".join(frames) + "\n")
    write_features(tmp_path / "M.npy", RNG.normal(size=(90, 4)).astype(np.float32))
    files = [tmp_path / name for name in ("splits.txt", "M.npy", "META.csv")]
    words = ["--splits", files[0], "--features", files[1], "--meta", files[2]]
    ran = cli_here("evaluate", "ytf", *words, "--pooling", "norm_cubed", "--json")
    (told,) = ran.json_lines()
    assert told["accuracy"] == evaluate_ytf(*files, pooling="norm_cubed").values["accuracy"].value
