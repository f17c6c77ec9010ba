"""From a matrix and META to NIST's rates: all pairs, and those of a list."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

import pairs_oracle
from tronie.data.readers.features import write_features
from tronie.errors import BadArray, BadFile, BadInput, NotEnoughData, NotFound
from tronie.evaluation.pairs.scores import NumpyScreen
from tronie.evaluation.run_frvt import prepare_frvt, score_frvt_pairs
from tronie.geometry.hypersphere import normalize

FMRS = (0.01, 0.1)
PEOPLE = np.repeat(np.arange(20), 4)
YEARS = 1990 + np.tile([0, 8, 14, 20], 20)
FAILED = (0, 5, 6, 40)


@pytest.fixture
def toy(tmp_path):
    """20 people of 4 photographs, in years 0, 8, 14 and 20; four templates failed."""
    rng = np.random.default_rng(0)
    rows = normalize(rng.normal(size=(20, 16))[PEOPLE] + 1.5 * rng.normal(size=(80, 16)))[0]
    rows[5] = np.nan  # a failure that the matrix shows; the others META tells
    write_features(tmp_path / "M.npy", rows)
    table(tmp_path)
    return tmp_path


def table(folder, **changes):
    columns = {
        "subject": [f"s{person}" for person in PEOPLE],
        "photo": [f"{n}.jpg" for n in range(80)],
        "failed": ["1" if n in FAILED and n != 5 else "0" for n in range(80)],
        "year": [str(year) for year in YEARS],
        "seconds": [str(0.1 + n / 1000) for n in range(80)],
        **changes,
    }
    columns = {name: column for name, column in columns.items() if column is not None}
    lines = [",".join(columns), *(",".join(row) for row in zip(*columns.values(), strict=True))]
    (folder / "META.csv").write_text("\n".join(lines) + "\n")


def prepared(folder, form="mugshot", **rest):
    return prepare_frvt(folder / "M.npy", folder / "META.csv", form=form, **{"fmrs": FMRS, **rest})


def test_all_pairs_count_failures_as_nist_does(toy):
    rows = np.load(toy / "M.npy")
    pairs = [
        (-2.0 if {i, j} & set(FAILED) else pairs_oracle.score(rows[i], rows[j]), i, j)
        for i, j in combinations(range(80), 2)
    ]
    impostor = [pair for pair in pairs if PEOPLE[pair[1]] != PEOPLE[pair[2]]]
    genuine = [pair for pair in pairs if PEOPLE[pair[1]] == PEOPLE[pair[2]]]
    report = prepared(toy).run()
    flat = report.to_dict()
    for far in FMRS:
        threshold, false = pairs_oracle.judged(impostor, far)
        misses = sum(score < threshold for score, _, _ in genuine)
        assert flat["counts"][f"fnmr_at_fmr_{far:g}"] == [misses, 120]
        point = next(point for point in report.details.points if point.far == far)
        assert (point.threshold, point.false_matches) == (threshold, false)
    threshold, _ = pairs_oracle.judged(impostor, 0.01)
    aged = [score for score, i, j in genuine if abs(YEARS[i] - YEARS[j]) >= 14]
    assert len(aged) == 40  # 0 with 14 and with 20; not 8 with 20
    assert flat["counts"]["fnmr_14_years"] == [sum(score < threshold for score in aged), 40]
    assert flat["counts"]["failures_to_enroll"] == [4, 80]
    assert flat["template_bytes"] == 64
    assert flat["template_time"] == pytest.approx(0.1395)
    assert set(report.provenance.inputs) == {"features", "meta"}
    assert "fnmr_14_years is at the threshold of FMR 0.01" in report.notes
    assert report.values["fnmr_14_years"].interval.method.startswith("bootstrap over identities")


def test_only_mugshots_have_a_rate_of_age(toy):
    assert "fnmr_14_years" not in prepared(toy, "wild").run().to_dict()


def test_without_years_the_report_says_so(toy):
    table(toy, year=None)
    report = prepared(toy).run()
    assert "META has no year that says which pairs are 14 years apart" in report.notes
    table(toy, year=["" if n % 4 == 2 else str(YEARS[n]) for n in range(80)])
    assert prepared(toy).run().to_dict()["counts"]["fnmr_14_years"][1] == 20


def test_the_plan_and_the_screens_are_those_handed_in(toy):
    class Named(NumpyScreen):
        name = "handed in"

    asked = []

    def screens(dimension, error):
        asked.append((dimension, error))
        return [Named()]

    ready = prepared(toy, screens=screens)
    assert asked[0][0] == 16
    assert "with handed in" in ready.plan.describe()[0]


def test_without_fmrs_those_of_the_form_are_asked_for(toy):
    with pytest.raises(NotEnoughData, match=r"FAR 1e-06 needs at least 1000000 .* got 3040"):
        prepared(toy, "visa", fmrs=None)


@pytest.fixture
def listed(toy):
    pairs = [(n, n + 1) for n in range(79)] + [(n, n + 30) for n in range(50)]
    lines = [f"{i}.jpg {j}.jpg {int(PEOPLE[i] == PEOPLE[j])}" for i, j in pairs]
    (toy / "pairs.txt").write_text("\n".join(lines) + "\n")
    return toy, pairs


def of_list(folder, **rest):
    files = (folder / "M.npy", folder / "META.csv", folder / "pairs.txt")
    return score_frvt_pairs(*files, form="wild", **{"fmrs": (0.1,), **rest})


def test_a_list_names_photographs(listed):
    folder, pairs = listed
    rows = np.load(folder / "M.npy")
    scores = [
        (-2.0 if {i, j} & set(FAILED) else pairs_oracle.score(rows[i], rows[j]), i, j)
        for i, j in pairs
    ]
    impostor = [pair for pair in scores if PEOPLE[pair[1]] != PEOPLE[pair[2]]]
    genuine = [pair[0] for pair in scores if PEOPLE[pair[1]] == PEOPLE[pair[2]]]
    threshold, false = pairs_oracle.judged(impostor, 0.1)
    report = of_list(folder)
    (point,) = report.details.points
    assert (point.threshold, point.false_matches) == (threshold, false)
    assert report.to_dict()["counts"]["fnmr_at_fmr_0.1"] == [
        sum(score < threshold for score in genuine),
        len(genuine),
    ]
    assert "the pairs are those of a list of 129" in report.notes
    assert set(report.provenance.inputs) == {"features", "meta", "pairs"}


def test_a_distractor_is_nobody_in_a_list_too(listed):
    folder, _ = listed
    before = of_list(folder).details.points[0]
    table(folder, subject=["-1" if p > 16 else f"s{p}" for p in PEOPLE])
    text = (folder / "pairs.txt").read_text().splitlines()
    kept = [
        line.rsplit(" ", 1)[0] + " 0" if int(line.split(".")[0]) >= 68 else line for line in text
    ]
    (folder / "pairs.txt").write_text("\n".join(kept) + "\n")
    report = of_list(folder)
    after = report.details.points[0]
    assert before.impostor_pairs + before.genuine_pairs == 129
    # Three persons of three pairs in a row, and two pairs between neighbors: nobody with nobody.
    assert after.genuine_pairs == before.genuine_pairs - 9
    assert after.impostor_pairs == before.impostor_pairs - 2
    told = "left out: 11 pairs of two photographs of nobody known (subject -1)"
    assert told in report.notes


def test_nobody_is_counted_the_same_in_a_list_of_all_pairs_and_without_a_list(toy):
    people = np.where(PEOPLE > 16, -1, PEOPLE)
    table(toy, subject=["-1" if p < 0 else f"s{p}" for p in people])
    lines = [
        f"{i}.jpg {j}.jpg {int(people[i] == people[j] != -1)}"
        for i, j in combinations(range(80), 2)
    ]
    (toy / "pairs.txt").write_text("\n".join(lines) + "\n")
    every, listed = prepared(toy, "wild").run(), of_list(toy, fmrs=FMRS)
    for one, other in zip(every.details.points, listed.details.points, strict=True):
        assert one.impostor_pairs == other.impostor_pairs == 80 * 79 // 2 - 12 * 11 // 2 - 17 * 6
        assert (one.far, one.threshold, one.false_matches) == (
            other.far,
            other.threshold,
            other.false_matches,
        )
        assert (one.accepted, one.genuine_pairs) == (other.accepted, other.genuine_pairs)


def test_two_photographs_of_nobody_cannot_be_of_one_person(listed):
    folder, _ = listed
    table(folder, subject=["-1" if p > 16 else f"s{p}" for p in PEOPLE])
    (folder / "pairs.txt").write_text("0.jpg 1.jpg 1\n70.jpg 71.jpg 1\n")
    with pytest.raises(
        BadFile, match=r"pairs\.txt:2: says 1, .* 70\.jpg is of -1 and 71\.jpg of -1"
    ):
        of_list(folder)


def test_a_list_of_mugshots_says_that_it_has_no_rate_of_age(listed):
    folder, _ = listed
    files = (folder / "M.npy", folder / "META.csv", folder / "pairs.txt")
    report = score_frvt_pairs(*files, form="mugshot", fmrs=(0.1,))
    told = "left out: fnmr_14_years, which is measured over all pairs and not over a list"
    assert told in report.notes
    assert not any("14_years" in note for note in of_list(folder).notes)


def test_lists_that_do_not_fit_are_refused(listed):
    folder, _ = listed
    path = folder / "pairs.txt"
    whole = path.read_text()
    path.write_text("0.jpg 1.jpg 1\n0.jpg x.jpg 0\n")
    with pytest.raises(NotFound, match=r"pairs\.txt:2: there is no photograph 'x\.jpg' in .*META"):
        of_list(folder)
    path.write_text("0.jpg 1.jpg 1\n0.jpg 4.jpg 1\n")
    with pytest.raises(BadFile, match=r"pairs\.txt:2: says 1, .* 0\.jpg is of s0 and 4\.jpg of s1"):
        of_list(folder)
    path.write_text(whole)
    table(folder, photo=["0.jpg"] * 2 + [f"{n}.jpg" for n in range(2, 80)])
    with pytest.raises(BadFile, match=r"META\.csv names the photograph '0\.jpg' twice"):
        of_list(folder)
    table(folder, photo=None)
    with pytest.raises(BadInput, match=r"META\.csv lacks the column photo"):
        of_list(folder)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"failed": ["0"] * 7 + ["yes"] + ["0"] * 72}, r"META\.csv:9: .* 1 or 0; got 'yes'"),
        ({"year": ["1990"] * 79 + ["soon"]}, r"META\.csv:81: the column year .* got 'soon'"),
        ({"seconds": ["-1"] * 80}, r"META\.csv:2: the column seconds .* got '-1'"),
        ({"subject": None}, "lacks the column 'subject'"),
        ({"subject": [" "] + ["s"] * 79}, r"META\.csv:2 is blank; each row has a label"),
        ({"subject": ["s"] * 79 + ["s" * 257]}, r"META\.csv:81: .* 256 characters at most"),
    ],
)
def test_fields_that_cannot_be_read_are_refused_by_their_line(toy, changes, message):
    table(toy, **changes)
    with pytest.raises(BadFile, match=message):
        prepared(toy)


def test_other_arguments_are_refused(toy):
    with pytest.raises(BadInput, match="one of visa, mugshot, wild; got 'border'"):
        prepared(toy, "border")
    write_features(toy / "M.npy", np.ones((79, 4), np.float32) / 2)
    with pytest.raises(BadArray, match=r"M\.npy has 79 rows and .*META\.csv has 80 lines"):
        prepared(toy)
