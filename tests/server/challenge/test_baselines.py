"""Published rows: the numbers of the tables, and where they are shown."""

from __future__ import annotations

import json

import pytest

from tronie.errors import BadFile, NotFound
from tronie.server.challenge.baselines import (
    BASELINES,
    MARK,
    published,
    show_baselines,
    shown_baselines,
)

# Score of each row by hand: 0.25 * Mask + 0.75 * MR-All of the README's table, in percent.
SCORES = {
    "mfr21-a": {"R18": 63.20775, "R34": 72.7045, "R50": 76.36225, "R100": 80.50675},
    "mfr21-b": {"R18": 67.38475, "R34": 78.53775, "R50": 82.866, "R100": 86.886},
}


@pytest.mark.parametrize("track", SCORES)
def test_the_score_of_a_row_is_that_of_its_rates(track):
    rows = {row.name.split(",")[0]: row for row in published(track)[:4]}
    found = {name: 100 * row.values["score"] for name, row in rows.items()}
    assert found == pytest.approx(SCORES[track], abs=1e-9)


def test_rates_are_fractions_and_every_row_has_its_source():
    for rows in BASELINES.values():
        for row in rows:
            rates = [v for k, v in row.values.items() if k[:3] not in ("mod", "lat", "flo")]
            assert all(0 < rate < 1 for rate in rates)
            assert "README" in row.source or "table" in row.source
            assert row.to_dict()["mark"] == MARK == "published, not reproduced"


def test_all_eleven_rows_of_the_mfr21_table_are_there():
    names = {row.name for key in ("mfr21-a", "mfr21-b") for row in published(key)}
    assert len(names) == 11
    private = next(row for row in published("mfr21-a") if "private" in row.name)
    assert "model_mib" not in private.values
    assert private.values["mr-all"] == 0.97481
    assert "other data" in private.remark


def test_a_row_of_the_first_lfr19_labels_says_so():
    first, paper = published("lfr19-deepglint-light")
    assert (first.values["score"], first.values["flops_lfr"]) == (0.64691, 933e6)
    assert "before they were cleaned" in first.remark
    assert paper.values["score"] == 0.8402
    assert paper.values["tar_at_far_1e-11"] == 0.5
    assert paper.values["tar_at_far_0.1"] == 0.999
    told = [
        published(f"lfr19-{name}")[1].values["score"] for name in ("iqiyi-light", "iqiyi-large")
    ]
    assert told == [0.4803, 0.67]
    assert published("fruits-100") == ()


def test_rows_are_shown_where_they_were_asked_for_and_nowhere_before(tmp_path):
    assert shown_baselines(tmp_path) == {}
    show_baselines(tmp_path)
    assert shown_baselines(tmp_path).keys() == BASELINES.keys()
    file = show_baselines(tmp_path, ["mfr21-b"])
    assert json.loads(file.read_text()) == {"format": 1, "tracks": ["mfr21-b"]}
    assert shown_baselines(tmp_path) == {"mfr21-b": BASELINES["mfr21-b"]}
    show_baselines(tmp_path, [])
    assert shown_baselines(tmp_path) == {}


def test_a_track_without_published_rows_is_refused(tmp_path):
    with pytest.raises(NotFound, match=r"no row was published for the track 'fruits-100'; .*mfr21"):
        show_baselines(tmp_path, ["mfr21-a", "fruits-100"])


def test_a_folder_that_is_no_challenge_is_refused(tmp_path):
    with pytest.raises(NotFound, match=r"there is no challenge in .*nowhere; `tronie serve"):
        show_baselines(tmp_path / "nowhere")


@pytest.mark.parametrize("text", ["", "[]", '{"format": 2}', '{"format": 1, "tracks": ["x"]}'])
def test_a_damaged_file_is_refused_and_says_how_to_mend_it(tmp_path, text):
    (tmp_path / "baselines.json").write_text(text)
    with pytest.raises(BadFile, match=r"does not say which baselines are shown .* run `tronie"):
        shown_baselines(tmp_path)
