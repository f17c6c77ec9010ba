"""Template sets from lists on disk."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from tronie.errors import BadArray, BadFile, NotFound
from tronie.evaluation.run_set_to_set import evaluate_set_to_set

IMAGES = [f"p{person}/{shot}.jpg" for person in range(8) for shot in range(6)]


@pytest.fixture
def lists(tmp_path):
    """Of each of eight people a template of four photographs, and one of the other two."""
    rng = np.random.default_rng(0)
    centers = np.repeat(rng.normal(size=(8, 12)), 6, axis=0)
    rows = (centers + rng.normal(size=(48, 12))).astype(np.float32)
    np.save(tmp_path / "F.npy", rows)
    enrolled = [f"e{n // 6} {IMAGES[n]}" for n in range(48) if n % 6 < 4]
    asked = [f"a{n // 6} {IMAGES[n]}" for n in range(48) if n % 6 >= 4]
    pairs = [f"e{i} a{j} {int(i == j)}" for i, j in product(range(8), repeat=2)]
    for name, lines in (
        ("images", IMAGES),
        ("enrolled", enrolled),
        ("asked", asked),
        ("pairs", pairs),
    ):
        (tmp_path / name).write_text("\n".join(lines) + "\n")
    return tmp_path, rows


def evaluate(folder, **others):
    files = {
        "templates": folder / "enrolled",
        "pairs": folder / "pairs",
        "against": folder / "asked",
    }
    return evaluate_set_to_set(folder / "F.npy", folder / "images", **{**files, **others})


@pytest.mark.parametrize("pooling", ["mean_of_unit", "mean_of_raw"])
def test_templates_are_pooled_and_compared_as_listed(lists, pooling):
    folder, rows = lists
    report = evaluate(folder, pooling=pooling, fars=[0.1])
    if pooling == "mean_of_unit":
        rows = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    shots = rows.reshape(8, 6, 12)
    left, right = shots[:, :4].mean(axis=1), shots[:, 4:].mean(axis=1)
    scores = np.array(
        [[a @ b / np.linalg.norm(a) / np.linalg.norm(b) for b in right] for a in left]
    )
    same = np.eye(8, dtype=bool)
    limit = np.sort(scores[~same])[-1 - 5]  # a tenth of 56
    value = report.values["tar_at_far_0.1"]
    assert (value.count, value.total) == (np.count_nonzero(scores[same] > limit), 8)
    assert report.values["impostor_pairs"].value == 56
    assert report.notes[-1] == f"templates: {pooling}"
    assert {*report.provenance.inputs} == {"features", "images", "templates", "pairs", "against"}


def test_one_list_serves_both_sides(lists):
    folder, _ = lists
    both = (folder / "enrolled").read_text() + (folder / "asked").read_text()
    (folder / "both").write_text(both)
    one = evaluate(folder, templates=folder / "both", against=None, fars=[0.1])
    assert one.values == evaluate(folder, fars=[0.1]).values


def test_a_pair_of_templates_that_share_an_image_is_refused(lists):
    folder, _ = lists
    with (folder / "asked").open("a") as file:
        file.write("a3 p3/0.jpg\n")
    with pytest.raises(BadFile, match=r"pairs:28: the templates e3 and a3 share p3/0\.jpg; a pair"):
        evaluate(folder)


def test_a_template_that_is_not_there_is_named_with_its_line(lists):
    folder, _ = lists
    with (folder / "pairs").open("a") as file:
        file.write("e9 a0 0\n")
    with pytest.raises(NotFound, match=r"pairs:65: there is no template 'e9' in its list"):
        evaluate(folder)


def test_an_image_without_a_row_is_named(lists):
    folder, _ = lists
    with (folder / "asked").open("a") as file:
        file.write("a3 p3/9.jpg\n")
    with pytest.raises(BadFile, match=r"^the template a3 names p3/9\.jpg, which has no row"):
        evaluate(folder)


def test_an_image_listed_twice_is_named(lists):
    folder, _ = lists
    (folder / "images").write_text("\n".join([*IMAGES[:-1], IMAGES[0]]) + "\n")
    with pytest.raises(BadFile, match=r"images names p0/0\.jpg twice; each line is the row of one"):
        evaluate(folder)


def test_a_matrix_of_another_length_is_refused(lists):
    folder, rows = lists
    np.save(folder / "F.npy", rows[1:])
    with pytest.raises(BadArray, match=r"needs a line of .*images; got 47 rows and 48 lines"):
        evaluate(folder)
