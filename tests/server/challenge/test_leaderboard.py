"""The leaderboard, against a slow one that asks of each team how many are ahead."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tronie.server.challenge.baselines import Baseline, published
from tronie.server.challenge.checks import Check, Verdict
from tronie.server.challenge.leaderboard import board, shown, values_of
from tronie.server.challenge.submission import Organization, State, Submission
from tronie.server.challenge.track import Column, Limits, Phase, Track, open_track

START = datetime(2026, 1, 1, tzinfo=UTC)
NOW = START + timedelta(days=100)
TRACK = Track(
    title="T",
    summary="S.",
    rules=("R.",),
    protocol="mfr21",
    takes="model",
    limits=Limits(upload_bytes=1),
    columns=(
        Column(key="score", title="Score"),
        Column(key="mask", title="Mask"),
        Column(key="latency_ms", title="ms", form="number", larger_is_better=False),
    ),
    tie_breaks=("latency_ms",),
    bonus_shares={1: 0.3, 2: 0.15, 3: 0.05},
    prizes={1: "gold", 2: "silver"},
)


def team(name, *, hidden=False, banned=""):
    return Organization(id=f"o-{name}", name=name, hidden=hidden, banned=banned, created=START)


def sent(name, score, *, ms=1.0, day=0, number=0, state=State.SCORED, public=True, version="1"):
    check = Check(rule="limits.latency_ms", passed=True, reason="r", measured=ms)
    report = {"values": {"score": {"value": score, "unit": "fraction"}}}
    return Submission(
        id=f"s-{name}-{day}-{number}",
        organization_id=f"o-{name}",
        user_id="u",
        track="t",
        state=state,
        file_name="f",
        note="",
        upload="k",
        sha256="0",
        size_bytes=1,
        received=START + timedelta(days=day),
        changed=START,
        attempts=0,
        public=public,
        verdict=Verdict(track="t", checks=(check,)),
        report=report if score is not None else {"values": {}},
        protocol_version=version,
        reason="",
    )


def lines(rows):
    return [(row.rank, row.name) for row in rows]


ABC = (team("A"), team("B"), team("C"))


def test_teams_stand_by_score_then_tie_break_then_time():
    rows = board(
        TRACK,
        [sent("A", 0.5, ms=3, day=1), sent("B", 0.5, ms=2, day=2), sent("C", 0.9, day=3)],
        ABC,
        now=NOW,
    )
    assert lines(rows) == [(1, "C"), (2, "B"), (3, "A")]
    assert [row.prize for row in rows] == ["gold", "silver", ""]
    assert [row.bonus_share for row in rows] == [0.3, 0.15, 0.05]
    rows = board(TRACK, [sent("A", 0.5, day=2), sent("B", 0.5, day=1)], ABC, now=NOW)
    assert lines(rows) == [(1, "B"), (2, "A")]


def test_the_best_public_submission_stands_for_a_team():
    rows = board(
        TRACK,
        [
            sent("A", 0.5, day=1),
            sent("A", 0.7, day=2),
            sent("A", 0.9, day=3, public=False),
            sent("A", 0.95, day=4, state=State.RUNNING),
            sent("A", None, day=5),
            sent("A", 0.7, day=6),
        ],
        ABC,
        now=NOW,
    )
    assert [row.submission_id for row in rows] == ["s-A-2-0"]
    assert rows[0].values == {"score": 0.7, "mask": None, "latency_ms": 1.0}


def test_exact_ties_share_a_place_their_shares_and_the_next_place_is_skipped():
    rows = board(
        TRACK,
        [sent("A", 0.5), sent("B", 0.5), sent("C", 0.1), sent("D", 0.9)],
        (*ABC, team("D")),
        now=NOW,
    )
    assert lines(rows) == [(1, "D"), (2, "A"), (2, "B"), (4, "C")]
    assert [row.bonus_share for row in rows] == [0.3, 0.1, 0.1, 0.0]


def test_values_are_compared_unrounded():
    rows = board(TRACK, [sent("A", 0.90001), sent("B", 0.90002, day=9)], ABC, now=NOW)
    assert lines(rows) == [(1, "B"), (2, "A")]
    assert {shown(TRACK.columns[0], row.values["score"]) for row in rows} == {"90.00"}


def test_a_banned_team_is_not_there_and_a_hidden_one_without_its_name():
    teams = (team("A", banned="cheated"), team("B", hidden=True), team("C"))
    every = [sent("A", 0.9), sent("B", 0.8), sent("C", 0.7), sent("nobody", 1.0)]
    assert lines(board(TRACK, every, teams, now=NOW)) == [(1, "hidden"), (2, "C")]
    seen = board(TRACK, every, teams, now=NOW, viewer="o-B")
    assert [(row.name, row.hidden, row.mine) for row in seen] == [
        ("B", True, True),
        ("C", False, False),
    ]
    assert "o-B" not in repr(board(TRACK, every, teams, now=NOW))


def test_a_hidden_phase_shows_nothing_until_it_has_closed():
    closes = START + timedelta(days=10)
    phases = (
        Phase(name="open", closes=START + timedelta(days=5)),
        Phase(name="final", opens=START + timedelta(days=5), closes=closes, hidden=True),
    )
    every = [sent("A", 0.5, day=1), sent("A", 0.9, day=6), sent("B", 0.7, day=7)]
    before = board(TRACK, every, ABC, now=closes - timedelta(seconds=1), phases=phases)
    assert [(row.name, row.values["score"]) for row in before] == [("A", 0.5)]
    after = board(TRACK, every, ABC, now=closes, phases=phases)
    assert [(row.name, row.values["score"]) for row in after] == [("A", 0.9), ("B", 0.7)]
    endless = (Phase(name="final", hidden=True),)
    assert board(replace(TRACK, phases=endless), every, ABC, now=NOW) == ()


def test_reports_of_another_version_wait_until_they_are_scored_again():
    every = [sent("A", 0.9), sent("B", 0.5, version="2")]
    assert lines(board(TRACK, every, ABC, now=NOW, version="2")) == [(1, "B")]
    assert len(board(TRACK, every, ABC, now=NOW)) == 2


def test_baselines_stand_among_the_teams_and_take_no_place():
    baselines = [
        Baseline(name="old", values={"score": 0.5, "latency_ms": 1.0}, source="a table"),
        Baseline(name="best", values={"score": 0.99}, source="b", remark="other data"),
    ]
    rows = board(
        TRACK, [sent("A", 0.9), sent("B", 0.5), sent("C", 0.1)], ABC, now=NOW, baselines=baselines
    )
    assert lines(rows) == [(None, "best"), (1, "A"), (2, "B"), (None, "old"), (3, "C")]
    assert rows[0].mark == "published, not reproduced; other data"
    assert rows[0].values == {"score": 0.99, "mask": None, "latency_ms": None}
    assert rows[3].baseline
    assert rows[3].submission_id == ""


def test_the_published_rows_of_mfr21_stand_in_their_order_on_an_empty_board():
    rows = board(open_track("mfr21-a"), [], [], now=NOW, baselines=published("mfr21-a"))
    assert [row.name.split(",")[0] for row in rows] == [
        "insightface-000 of FRVT", "R100", "R100", "R50", "R34", "R18", "R100",
    ]  # fmt: skip
    assert all(row.rank is None and row.baseline for row in rows)


def test_a_small_step_does_not_move_a_ladder_and_a_step_to_the_decimal_does():
    ladder = replace(TRACK, ladder=0.01)
    every = [sent("A", score, day=day) for day, score in enumerate([0.90, 0.905, 0.91, 0.918])]
    assert (
        board(ladder, every, ABC, now=NOW)[0].values["score"] == 0.91
    )  # 0.91 - 0.9 < 0.01 in binary
    assert board(ladder, every[:2], ABC, now=NOW)[0].values["score"] == 0.90
    assert board(TRACK, every, ABC, now=NOW)[0].values["score"] == 0.918


def test_a_ladder_goes_down_where_less_is_better():
    errors = Column(key="score", title="FNMR", larger_is_better=False)
    ladder = replace(TRACK, ladder=0.01, columns=(errors,), tie_breaks=())
    every = [sent("A", score, day=day) for day, score in enumerate([0.05, 0.045, 0.03, 0.06])]
    assert board(ladder, every, ABC, now=NOW)[0].values["score"] == 0.03


@pytest.mark.parametrize(
    ("form", "decimals", "value", "text"),
    [
        ("percent", 3, 0.69091, "69.091"),
        ("percent", 2, 1.0, "100.00"),
        ("percent", 2, 0.28515, "28.52"),
        ("number", 1, 4.26, "4.3"),
        ("count", 0, 933_000_000, "933,000,000"),
        ("count", 0, 1.0e9, "1,000,000,000"),
        ("percent", 2, None, "–"),
    ],
)
def test_a_value_is_rounded_where_it_is_shown(form, decimals, value, text):
    assert shown(Column(key="k", title="t", form=form, decimals=decimals), value) == text


def test_costs_are_those_that_the_checks_measured():
    rules = {"model_bytes": 3 * 2**19, "flops": 933_000_000, "dimension": 256, "latency_ms": 1.5}
    checks = [
        Check(rule=f"limits.{name}", passed=True, reason="r", measured=measured)
        for name, measured in rules.items()
    ]
    one = replace(sent("A", 0.5), verdict=Verdict(track="t", checks=tuple(checks)))
    told = values_of(open_track("lfr19-deepglint-light"), one)
    assert {key: told[key] for key in ("model_mib", "flops_lfr", "dimension")} == {
        "model_mib": 1.5,
        "flops_lfr": 933_000_000,
        "dimension": 256,
    }
    assert values_of(TRACK, one)["latency_ms"] == 1.5


def test_a_submission_without_checks_or_report_has_no_numbers():
    bare = replace(sent("A", 0.5), verdict=None, report=None)
    assert values_of(TRACK, bare) == {"score": None, "mask": None, "latency_ms": None}


submissions = st.lists(
    st.builds(
        sent,
        st.sampled_from("ABCDE"),
        st.sampled_from([0.1, 0.2, 0.3]),
        ms=st.sampled_from([None, 1.0, 2.0]),
        day=st.integers(0, 3),
        number=st.integers(0, 10**6),
        public=st.sampled_from([True, True, False]),
    ),
    max_size=14,
    unique_by=lambda one: one.id,
)


def ahead(one, other):
    """Whether `one` stands before `other`: (score, ms, received), by comparing, not by sorting."""
    a, b = values_of(TRACK, one), values_of(TRACK, other)
    if a["score"] != b["score"]:
        return a["score"] > b["score"]
    if a["latency_ms"] != b["latency_ms"]:
        return b["latency_ms"] is None or (
            a["latency_ms"] is not None and a["latency_ms"] < b["latency_ms"]
        )
    return one.received < other.received


@settings(max_examples=150, deadline=None)
@given(every=submissions, values=st.lists(st.sampled_from([0.1, 0.2, 0.25]), max_size=3))
def test_a_place_is_one_more_than_the_teams_ahead(every, values):
    teams = tuple(team(name) for name in "ABCD")
    best = {}
    for one in every:
        if one.public and one.organization_id != "o-E":
            mine = best.setdefault(one.organization_id, one)
            if ahead(one, mine) or (not ahead(mine, one) and one.id < mine.id):
                best[one.organization_id] = one
    oracle = {
        one.id: 1 + sum(ahead(other, one) for other in best.values()) for one in best.values()
    }
    baselines = [
        Baseline(name=f"b{n}", values={"score": value}, source="s")
        for n, value in enumerate(values)
    ]
    rows = board(TRACK, every, teams, now=NOW, baselines=baselines)
    of_teams = [row for row in rows if not row.baseline]
    assert {row.submission_id: row.rank for row in of_teams} == oracle
    assert len(rows) - len(of_teams) == len(values)
    for place, row in enumerate(rows):
        below = rows[place + 1 :]
        assert all(row.values["score"] >= other.values["score"] for other in below)
    spent = sum(row.bonus_share for row in of_teams)
    assert spent == pytest.approx(sum([0.3, 0.15, 0.05][: len(of_teams)]))
