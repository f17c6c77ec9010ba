"""From files to a Report of all pairs; killed in the middle and gone on with."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import pairs_oracle
from tronie.errors import BadArray, BadFile, BadInput, NotEnoughData, NotFound
from tronie.evaluation.pairs import plan
from tronie.evaluation.report import Report
from tronie.evaluation.run_pairs import people_of, prepare_pairs, read_array, read_labels
from tronie.geometry.hypersphere import normalize
from working_tree import environment

FARS = (0.05, 0.001)


@pytest.fixture
def files(tmp_path):
    rng = np.random.default_rng(0)
    people = np.repeat(np.arange(40), 3)
    rows = rng.normal(size=(40, 24))[people] + 1.6 * rng.normal(size=(120, 24))
    np.save(tmp_path / "M.npy", normalize(rows)[0])
    np.save(tmp_path / "L.npy", people * 7 - 3)
    return tmp_path


def measured(folder, **rest):
    return prepare_pairs(folder / "M.npy", folder / "L.npy", fars=FARS, **rest)


def test_the_json_holds_what_sorting_all_scores_gives(files):
    unit, labels = np.load(files / "M.npy"), np.load(files / "L.npy")
    genuine, impostor = pairs_oracle.every_pair(unit, labels)
    told = json.loads(json.dumps(measured(files, worst=4, missed=3).run().to_dict()))
    assert [point["far"] for point in told["points"]] == [0.05, 0.001]
    for point in told["points"]:
        threshold, false = pairs_oracle.judged(impostor, point["far"])
        assert point["threshold"] == threshold
        assert point["false_matches"] == false
        assert point["achieved_far"] == false / len(impostor)
        assert point["impostor_pairs"] == len(impostor)
        assert point["genuine_pairs"] == len(genuine)
        assert point["tar"] == sum(s >= threshold for s, _, _ in genuine) / len(genuine)
        assert point["far_interval"]["low"] <= point["achieved_far"]
    loose, tight = told["points"]
    assert not loose["few_errors"]
    assert "note" not in loose
    assert tight["few_errors"]
    assert tight["note"].startswith(f"rests on {tight['false_matches']} false matches and ")
    worst = sorted(impostor, key=lambda p: (-p[0], p[1], p[2]))[:4]
    assert [(p["score"], *p["rows"]) for p in told["worst_impostors"]] == worst
    assert told["worst_impostors"][0]["labels"] == [labels[r].item() for r in worst[0][1:]]
    assert [(p["score"], *p["rows"]) for p in told["lowest_genuine"]] == sorted(genuine)[:3]
    assert sorted(told["provenance"]["inputs"]) == ["features", "labels"]
    sums = {}
    for s, i, j in impostor:
        if s >= loose["threshold"]:
            for row in (i, j):
                sums[labels[row].item()] = sums.get(labels[row].item(), 0) + 1
    shown = [entry["in_pairs"] for entry in loose["most_false_matches"]]
    assert shown == sorted(sums.values(), reverse=True)[:20]
    assert all(sums[e["label"]] == e["in_pairs"] for e in loose["most_false_matches"])


def test_names_and_lines_are_labels_too(files):
    whole = measured(files).run().to_dict()["points"]
    labels = np.load(files / "L.npy")
    np.save(files / "S.npy", np.array([f"person {n}" for n in labels]))
    (files / "L.txt").write_text("".join(f"person {n}\n" for n in labels))
    for name in ("S.npy", "L.txt"):
        points = prepare_pairs(files / "M.npy", files / name, fars=FARS).run().to_dict()["points"]
        assert [p["threshold"] for p in points] == [p["threshold"] for p in whole]
        assert points[0]["most_misses"][0]["label"].startswith("person ")


def test_minus_one_is_a_distractor_as_number_and_as_text():
    assert people_of(np.array([5, -1, 9, 5])).tolist() == [1, -1, 2, 1]
    assert people_of(np.array(["b", "-1", "a"])).tolist() == [2, -1, 1]


def test_groups_and_pairs_left_out_are_read_from_files(files):
    labels = np.load(files / "L.npy")
    side = np.random.default_rng(2).integers(3, size=120)
    np.save(files / "G.npy", side == 0)
    np.save(files / "A.npy", side == 1)
    np.save(files / "X.npy", np.array([[0, 5], [7, 9]]))
    _, impostor = pairs_oracle.every_pair(
        np.load(files / "M.npy"),
        labels,
        group=side == 0,
        against=side == 1,
        left_out=[(0, 5), (7, 9)],
    )
    prepared = measured(
        files, group=files / "G.npy", against=files / "A.npy", left_out=files / "X.npy"
    )
    point = prepared.run().to_dict()["points"][0]
    threshold, false = pairs_oracle.judged(impostor, 0.05)
    assert (point["threshold"], point["false_matches"]) == (threshold, false)
    assert set(prepared.made_with.inputs) == {"features", "labels", "group", "against", "left_out"}


def test_rows_of_any_length_are_normalized_only_when_that_is_said(files):
    whole = measured(files).run().to_dict()["points"]
    rows = np.load(files / "M.npy").astype(np.float64)
    np.save(files / "M.npy", rows * np.linspace(1, 30, 120)[:, None])
    with pytest.raises(BadFile, match="holds float64; features are little-endian float32"):
        measured(files)
    np.save(files / "M.npy", (rows * np.linspace(2, 30, 120)[:, None]).astype(np.float32))
    with pytest.raises(BadArray, match=r"features has length 2, .* normalize"):
        measured(files)
    points = measured(files, lengths="any").run().to_dict()["points"]
    for a, b in zip(points, whole, strict=True):
        assert a["threshold"] == pytest.approx(b["threshold"], abs=1e-6)


CHILD = """
import sys
from pathlib import Path
from tronie.evaluation.pairs import plan
from tronie.evaluation.pairs.scores import NumpyScreen
from tronie.evaluation.report import Report
from tronie.evaluation.run_pairs import prepare_pairs
plan.LOOSE_FAR, plan.LOOSE_KEPT_AT_MOST = 0.01, 0
NumpyScreen.panel_rows = NumpyScreen.tile_rows = 16
folder = Path(sys.argv[1])
def wait_in_the_middle(done, total):
    if done > total / 3 and (folder / "c").exists():
        print(done, flush=True)
        sys.stdin.read()  # for ever: whoever started this kills it
prepared = prepare_pairs(folder / "M.npy", folder / "L.npy", fars=(0.05, 0.001))
prepared.run(checkpoint=folder / "c", checkpoint_every_s=0, progress=wait_in_the_middle)
"""


def test_a_killed_run_goes_on_to_the_identical_result(files, monkeypatch):
    monkeypatch.setattr(plan, "LOOSE_FAR", 0.01)
    monkeypatch.setattr(plan, "LOOSE_KEPT_AT_MOST", 0)
    whole = measured(files).run().to_dict()
    with subprocess.Popen(
        [sys.executable, "-c", CHILD, str(files)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environment(),
    ) as child:
        reached = int(child.stdout.readline())
        child.send_signal(signal.SIGKILL)
        assert child.wait() == -signal.SIGKILL
    checkpoint = files / "c"
    assert checkpoint.is_file()
    seen = []
    again = measured(files).run(
        checkpoint=checkpoint, progress=lambda done, total: seen.append(done)
    )
    assert 0 < seen[0] <= reached
    assert not checkpoint.exists()
    told = again.to_dict()
    for record in (whole, told):
        del record["provenance"]
    assert told == whole


def test_a_checkpoint_of_other_labels_is_refused(files):
    class Enough(Exception):
        pass

    reported = []

    def stop_at_the_third(done, total):  # by then the first panel is saved
        reported.append(done)
        if len(reported) == 3:
            raise Enough("enough")

    prepared = measured(files)
    prepared.plan.screen.panel_rows = 16
    with pytest.raises(Enough, match="enough"):
        prepared.run(checkpoint=files / "c", checkpoint_every_s=0, progress=stop_at_the_third)
    assert (files / "c").is_file()
    np.save(files / "L.npy", np.repeat(np.arange(60), 2))
    with pytest.raises(BadInput, match="belongs to another run"):
        measured(files).run(checkpoint=files / "c")


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


@pytest.mark.parametrize(
    ("spoil", "error", "message"),
    [
        (lambda f: (f / "M.npy").unlink(), NotFound, "there is no feature file .*M.npy"),
        (lambda f: (f / "L.npy").unlink(), NotFound, "there is no file .*L.npy"),
        (lambda f: cut(f / "M.npy"), BadFile, "M.npy announces 120 rows of 24 float32"),
        (lambda f: (f / "M.npy").write_bytes(b"PK\3\4"), BadFile, "M.npy has 4 bytes, too few"),
        (lambda f: np.save(f / "L.npy", np.arange(119)), BadArray, "120 rows and .* 119 labels"),
        (lambda f: np.save(f / "L.npy", np.ones(120)), BadFile, "one whole number or string a row"),
        (lambda f: np.save(f / "L.npy", np.ones((120, 2), int)), BadFile, r"shape \(120, 2\)"),
        (lambda f: np.save(f / "L.npy", np.ones(120, int)), NotEnoughData, "1 identities"),
        (
            lambda f: np.save(f / "L.npy", np.array([{}] * 120), allow_pickle=True),
            BadFile,
            "L.npy holds Python objects; save an array of numbers, or of strings",
        ),
        (
            lambda f: np.save(f / "M.npy", np.full((120, 24), np.nan, np.float32)),
            BadArray,
            "row 0 of 120 features holds NaN",
        ),
    ],
)
def test_files_that_cannot_be_used_are_refused_in_a_sentence(files, spoil, error, message):
    spoil(files)
    with pytest.raises(error, match=message) as caught:
        measured(files)
    assert "\n" not in str(caught.value)


def test_a_far_below_one_pair_names_the_smallest(files):
    with pytest.raises(NotEnoughData, match=r"got 7020. Add pairs, or ask for FAR >= 1.5e-04"):
        prepare_pairs(files / "M.npy", files / "L.npy", fars=[1e-6])


def test_other_arguments_are_refused(files):
    with pytest.raises(BadInput, match='"unit" or "any"; got \'both\''):
        measured(files, lengths="both")
    (files / "L.txt").write_text("a\n\nb\n")
    with pytest.raises(BadFile, match=r"L.txt:2 is blank; each row has a label"):
        read_labels(files / "L.txt")
    (files / "L.txt").write_bytes(b"\xff\xfe\xff")
    with pytest.raises(BadFile, match="is not UTF-8 text"):
        read_labels(files / "L.txt")
    with pytest.raises(NotFound, match="there is no file"):
        read_labels(files / "no.txt")
    with pytest.raises(NotFound, match="there is no file"):
        read_labels(files / "no.npy")
    with pytest.raises(BadInput, match=r"cannot read .*: Is a directory"):
        read_array(files)
    np.save(files / "M.npy", np.ones(5))
    with pytest.raises(BadFile, match="holds float64; features are little-endian float32"):
        measured(files, lengths="any")


def test_labels_of_a_text_file_have_no_mark_and_no_blanks(files):
    (files / "L.txt").write_bytes("\ufeffann\nbob \nann\n -1\n".encode())
    assert people_of(read_labels(files / "L.txt")).tolist() == [1, 2, 1, -1]
    (files / "L.txt").write_text("ann\n" + "b" * 300 + "\n")
    with pytest.raises(BadFile, match=r"L\.txt:2: a label has 256 characters at most; .* has 300"):
        read_labels(files / "L.txt")


def test_an_npy_that_announces_more_than_it_holds_is_refused_unread(files):
    head = (files / "L.npy").read_bytes()[:128].replace(b"(120,), ", b"(8" + b"0" * 9 + b",), ")
    (files / "L.npy").write_bytes(head)
    with pytest.raises(BadFile, match=r"L\.npy announces int64 .* bytes in all; it has 1\d\d"):
        read_labels(files / "L.npy")


def test_the_report_reads_back_and_says_what_the_json_says(files):
    outcome = measured(files, worst=4, missed=3).run(sample_pairs=500)
    told, report = outcome.to_dict(), outcome.report()
    assert Report.from_json(report.to_json()) == report
    for point, same in zip(report.details.points, told["points"], strict=True):
        assert point.to_dict() == {k: v for k, v in same.items() if not k.startswith("most_")}
        assert report.values[f"tar_at_far_{point.far:g}"].value == point.tar
    shown = [(p.kind, p.score, list(p.rows)) for p in report.details.pairs]
    assert shown == [("impostor", p["score"], p["rows"]) for p in told["worst_impostors"]] + [
        ("genuine", p["score"], p["rows"]) for p in told["lowest_genuine"]
    ]


def test_groups_are_compared_where_they_are_named(files):
    names = np.where(np.load(files / "L.npy") % 2 == 0, "even", "odd")
    np.save(files / "G.npy", names)
    outcome = measured(files, groups=files / "G.npy").run()
    assert [one["far"] for one in outcome.to_dict()["groups"]] == list(FARS)
    assert {rate.group for rate in outcome.report().details.groups[0].rates} == {"even", "odd"}
    assert "groups" in outcome.provenance.inputs


def test_a_loose_far_can_be_sampled_and_says_so(files):
    outcome = measured(files, sampled_from=0.01, sample_pairs=4000).run()
    loose, tight = outcome.report().details.points
    exact = measured(files).run().report().details.points
    assert loose.sampled
    assert loose.impostor_pairs == 4000
    assert not tight.sampled
    assert tight == exact[1]
    assert loose.tar_interval.low <= exact[0].tar <= loose.tar_interval.high
    again = measured(files, sampled_from=0.01, sample_pairs=4000).run(sample_pairs=100)
    assert again.report().details.points[0] == loose  # a curve's sample changes no number


def test_groups_that_do_not_fit_are_refused_before_any_pair_is_compared(files):
    (files / "G.txt").write_text("a\n" * 119)
    with pytest.raises(BadArray, match=r"got 120 rows and groups of shape \(119,\)"):
        measured(files, groups=files / "G.txt")
    (files / "G.txt").write_text("a\nb\n" * 60)
    with pytest.raises(BadInput, match="groups are of people, and row 1 is in 'b'"):
        measured(files, groups=files / "G.txt")


def test_a_far_whose_pairs_are_only_counted_has_no_groups_and_says_so(files, monkeypatch):
    monkeypatch.setattr("tronie.evaluation.run_pairs.KEPT_AT_MOST", 10)
    np.save(files / "G.npy", np.where(np.load(files / "L.npy") % 2 == 0, "even", "odd"))
    report = measured(files, groups=files / "G.npy").run().report()
    assert [groups.far for groups in report.details.groups] == [0.001]
    assert "no groups at FAR 0.05: its pairs were counted, not kept" in report.notes


def test_a_checkpoint_can_stay_until_the_answer_is_written(files):
    state = files / "state"
    first = measured(files).run(checkpoint=state, checkpoint_stays=True).to_dict()
    visited = []
    again = measured(files).run(checkpoint=state, progress=lambda a, b: visited.append((a, b)))
    assert again.to_dict()["points"] == first["points"]
    assert visited[0][0] == visited[0][1]
    assert not state.exists()
