"""From a matrix and a table to the Report of a challenge."""

from __future__ import annotations

import numpy as np
import pytest

from tronie.data.readers.features import write_features
from tronie.errors import BadArray, BadFile, BadInput, NotEnoughData
from tronie.evaluation.pairs.plan import make_plan
from tronie.evaluation.pairs.sets import HowToRun
from tronie.evaluation.protocols import lfr19_image, mfr21
from tronie.evaluation.run_sets import prepare_far_row, prepare_mfr21
from tronie.geometry.hypersphere import normalize


@pytest.fixture
def world(tmp_path, monkeypatch):
    monkeypatch.setattr(mfr21, "FAR_CHILDREN", 0.01)
    monkeypatch.setattr(lfr19_image, "HEADLINE", 0.01)
    rng = np.random.default_rng(0)
    people = np.append(np.repeat(np.arange(20), 4), [-1] * 10)
    rows = rng.normal(size=(21, 8))[people] + rng.normal(size=(90, 8))
    write_features(tmp_path / "M.npy", normalize(rows)[0])
    write_features(tmp_path / "M.bin", normalize(rows)[0])
    lines = [f"{n}" for n in people]
    (tmp_path / "subject.csv").write_text("\n".join(["subject", *lines]) + "\n")
    mfr = [f"children,{n}" for n in people]
    (tmp_path / "mfr.csv").write_text("\n".join(["set,subject", *mfr]) + "\n")
    return tmp_path


def test_a_row_of_fars_is_the_same_from_either_form_of_matrix(world):
    told = [
        prepare_far_row("lfr19-image", world / name, world / "subject.csv", sampled_from=None).run()
        for name in ("M.npy", "M.bin")
    ]
    assert told[0].details == told[1].details
    assert told[0].values["score"].total == 120
    point = next(p for p in told[0].details.points if p.far == 0.01)
    assert point.impostor_pairs == 90 * 89 // 2 - 120 - 45  # distractors never meet each other
    assert set(told[0].provenance.inputs) == {"features", "meta"}


def test_a_loose_end_is_sampled_unless_all_pairs_are_asked_for(world, monkeypatch):
    defaults = {**make_plan.__kwdefaults__, "sample_pairs": 3500}
    monkeypatch.setattr(make_plan, "__kwdefaults__", defaults)
    for sampled_from, kinds in ((1e-2, {True}), (None, {False})):
        prepared = prepare_far_row(
            "lfr19-image", world / "M.npy", world / "subject.csv", sampled_from=sampled_from
        )
        points = prepared.run(HowToRun(sample_pairs=300)).details.points
        assert {point.sampled for point in points if point.far >= 0.01} == kinds


def test_pairs_can_be_left_out(world):
    np.save(world / "X.npy", np.array([[0, 1], [0, 7]]))
    prepared = prepare_far_row(
        "lfr19-image", world / "M.npy", world / "subject.csv", left_out=world / "X.npy"
    )
    assert prepared.planned[0].chosen.genuine_pairs == 119
    assert prepared.seconds > 0


def test_mfr21_reads_its_sets_from_the_table(world):
    told = prepare_mfr21(world / "M.npy", world / "mfr.csv").run()
    assert told.name == "mfr21"
    assert told.values["children"].total == 120


@pytest.mark.parametrize(
    ("subject", "message"),
    [
        ("x" * 131_000, r"long\.csv:4: a label has 256 characters at most; this one has 131000"),
        (" ", r"long\.csv:4 is blank; each row has a label"),
    ],
)
def test_a_subject_that_is_no_label_is_refused_by_its_line(world, subject, message):
    lines = (world / "subject.csv").read_text().splitlines()
    (world / "long.csv").write_text("\n".join([*lines[:3], f'"{subject}"', *lines[4:]]) + "\n")
    with pytest.raises(BadFile, match=message):
        prepare_far_row("lfr19-image", world / "M.npy", world / "long.csv")


def test_tables_that_do_not_fit_are_refused(world):
    with pytest.raises(BadInput, match=r"measured by lfr19-image, .*; got 'lfr'"):
        prepare_far_row("lfr", world / "M.npy", world / "subject.csv")
    with pytest.raises(BadFile, match="set"):
        prepare_mfr21(world / "M.npy", world / "subject.csv")
    with pytest.raises(BadFile, match="side"):
        prepare_far_row("trillion-pairs", world / "M.npy", world / "subject.csv")
    (world / "short.csv").write_text("subject\n1\n1\n2\n")
    with pytest.raises(BadArray, match=r"the matrix has 90 rows and .*short.csv has 3 lines"):
        prepare_far_row("lfr19-image", world / "M.npy", world / "short.csv")
    with pytest.raises(NotEnoughData, match=r"the set pairs: its FAR of 0.0001 needs 10000"):
        prepare_far_row("lfr19-video", world / "M.npy", world / "subject.csv")
