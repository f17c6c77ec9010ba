"""The search over planted candidates: what it finds, and that nothing is lost or done twice."""

from __future__ import annotations

import csv
import json
import random
import subprocess
import sys
from dataclasses import replace

import pytest

pytest.importorskip("torch")

import toy_redistribution
from toy_detection import write_photos
from toy_redistribution import (
    NAME,
    Planted,
    planted_score,
    toy_proxy,
    toy_search,
)
from tronie.errors import BadInput, NotEnoughData, NotFound
from tronie.lab.training.redistribute.budget import BACKBONE, flops_by_part
from tronie.lab.training.redistribute.opening import candidate_layout
from tronie.lab.training.redistribute.search import redistribute
from tronie.lab.training.redistribute.search_folder import read_asked
from working_tree import environment

pytestmark = pytest.mark.lab


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_photos(tmp_path_factory.mktemp("photos"), photos=12)


@pytest.fixture
def search(data, tmp_path):
    """A search with planted candidates, into the same folder each time."""

    def run(recipe=None, *, name=NAME, start=Planted, **options):
        return redistribute(
            name,
            recipe or toy_search(),
            data=options.pop("data", data),
            out=tmp_path / "search",
            start=start,
            **options,
        )

    return run


class Clock:
    """Time that passes when a candidate is looked at: ten seconds, and then it is done."""

    def __init__(self, seconds=10.0):
        self.now, self.seconds, self.begun, self.ended = 0.0, seconds, 0, 0

    def __call__(self):
        return self.now

    def start(self, job):
        clock = self
        clock.begun += 1

        class Slow(Planted):
            def fault(self):
                clock.now += clock.seconds
                return super().fault()

            def end(self):
                clock.ended += 1

        return Slow(job)


def rows(tmp_path):
    with (tmp_path / "search" / "candidates.csv").open() as file:
        return list(csv.DictReader(file))


def begun(tmp_path):
    """How often each candidate was begun."""
    found = (tmp_path / "search" / "candidates").glob("*/begun")
    return {path.parent.name: path.read_text().count("once") for path in found}


def test_both_steps_are_searched_and_the_best_of_all_wins(search, tmp_path):
    told = []
    found = search(progress=told.append)
    assert [one.candidate.key for one in told] == [
        *(f"1-{n:04d}" for n in range(6)),
        *(f"2-{n:04d}" for n in range(4)),
    ]
    assert (found.left, dict(found.failed), len(found.judged)) == (0, {}, 10)
    scores = {candidate.detector: result.score for candidate, result in found.judged}
    assert scores == {name: planted_score(name) for name in scores}
    assert found.best[1].score == max(scores.values())
    assert told[-1].best == found.best
    assert told[-1].done == told[-1].count == 10


def test_step_2_is_drawn_around_the_best_of_step_1(search, tmp_path):
    found = search()
    asked = read_asked(tmp_path / "search")
    assert asked.template == max(asked.backbones, key=planted_score)
    wanted = flops_by_part(candidate_layout(asked.template))
    for name in asked.networks:
        cost = flops_by_part(candidate_layout(name))
        for stage in BACKBONE[1:]:
            ratio = cost[stage] / cost["stem"] / (wanted[stage] / wanted["stem"])
            assert 0.9 <= ratio <= 1.1
    assert {one.step for one in found.findings} == {1, 2}


def test_the_folder_holds_the_table_what_was_found_and_the_drawing(search, tmp_path):
    found = search(toy_search(backbones=9, networks=0))
    record = json.loads((tmp_path / "search" / "search.json").read_text())
    assert [row["candidate"] for row in rows(tmp_path)] == [f"1-{n:04d}" for n in range(9)]
    assert record["found"]["best"]["detector"] == found.best[0].detector
    assert (record["found"]["judged"], record["found"]["count"]) == (9, 9)
    assert [one["part"] for one in record["found"]["best_shares"]] == list(BACKBONE)
    assert (tmp_path / "search" / "search.svg").read_text().startswith("<svg")


def test_a_search_that_is_done_does_nothing_again(search, tmp_path):
    first = search()
    again = search()
    assert again.judged == first.judged
    assert set(begun(tmp_path).values()) == {1}


def test_the_table_is_there_after_each_candidate(search, tmp_path):
    counts = []
    search(progress=lambda told: counts.append(len(rows(tmp_path))))
    assert counts == list(range(1, 11))


def test_time_ends_it_between_candidates_and_the_next_call_goes_on(search, tmp_path):
    clock = Clock()
    told = []
    found = search(start=clock.start, clock=clock, budget_s=35, progress=told.append)
    assert (len(found.judged), found.left, clock.ended) == (3, 7, 0)
    assert clock.now == 30  # a fourth would not be done in time
    assert (told[-1].remaining_s, told[-1].left_s) == (70, 5)
    rest = search()
    assert (len(rest.judged), rest.left) == (10, 0)
    assert set(begun(tmp_path).values()) == {1}


def test_no_time_is_no_fault(search, tmp_path):
    clock = Clock()
    found = search(start=clock.start, clock=clock, budget_s=0)
    assert (found.best, found.left, clock.begun) == (None, 10, 0)
    assert found.findings == ()
    assert not (tmp_path / "search" / "candidates.csv").exists()


def test_a_candidate_that_outlasts_the_time_is_stopped_and_begun_again_later(search, tmp_path):
    clock = Clock()

    def never(job):
        one = clock.start(job)
        one._done_at = float("inf")
        return one

    found = search(start=never, clock=clock, budget_s=25)
    assert (clock.begun, clock.ended, clock.now) == (1, 1, 30)
    assert found.left == 10
    assert search().left == 0
    assert begun(tmp_path)["1-0000"] == 2


def test_several_at_once_are_no_more_than_asked_for(search):
    running = [0, 0]

    class Counted(Planted):
        def __init__(self, job):
            super().__init__(job, 0.02)
            running[0] += 1
            running[1] = max(running)

        def fault(self):
            fault = super().fault()
            running[0] -= fault is not None
            return fault

    assert len(search(start=Counted, workers=3).judged) == 10
    assert running == [0, 3]


def failing(*keys):
    def start(job):
        one = Planted(job)
        if job.run.name in keys:
            one.fault = lambda: "it diverged"
        return one

    return start


def test_a_candidate_that_fails_is_told_left_out_and_tried_again(search, tmp_path):
    told = []
    found = search(start=failing("1-0002"), progress=told.append)
    assert dict(found.failed) == {"1-0002": "it diverged"}
    assert (told[2].score, told[2].fault) == (None, "it diverged")
    assert (len(found.judged), found.left) == (9, 0)
    assert dict(search().failed) == {}
    assert begun(tmp_path)["1-0002"] == 2


def test_three_in_a_row_end_it_with_the_last_reason(search, tmp_path):
    start = failing("1-0001", "1-0002", "1-0003")
    with pytest.raises(BadInput, match=r"3 candidates in a row came to nothing.*: it diverged"):
        search(start=start)
    assert len(rows(tmp_path)) == 1
    assert len(search().judged) == 10


def test_those_that_failed_before_are_tried_last_and_end_nothing(search, tmp_path):
    start = failing("1-0001", "1-0003", "1-0005")
    first = search(toy_search(networks=0), start=start)
    assert set(first.failed) == {"1-0001", "1-0003", "1-0005"}
    again = search(start=start, changes=["backbones=9", "networks=1"])
    assert set(again.failed) == set(first.failed)
    assert len(again.judged) == 7
    assert search().failed == {}


def test_one_that_ends_well_without_a_result_failed(search):
    class Empty(Planted):
        def fault(self):
            return ""

    with pytest.raises(BadInput, match="it left no result"):
        search(start=Empty)


def test_what_is_at_work_is_stopped_when_the_search_breaks_off(search):
    clock = Clock()

    def interrupted(told):
        raise KeyboardInterrupt("enough")

    with pytest.raises(KeyboardInterrupt, match="enough"):
        search(start=clock.start, clock=clock, workers=3, progress=interrupted)
    assert (clock.begun, clock.ended) == (3, 2)  # the first was taken down already


def test_more_candidates_can_be_asked_for_later_and_the_first_stay(search, tmp_path):
    first = search(toy_search(networks=0))
    more = search(changes=["backbones=8", "networks=2"])
    assert more.judged[:6] == first.judged
    assert len(more.judged) == 10
    assert set(begun(tmp_path).values()) == {1}


def test_step_2_has_as_many_as_there_are(search):
    said = []
    recipe = toy_search(backbones=1, networks=5000, ratio_tolerance=0.001, tolerance=0.001)
    found = search(recipe, announce=said.append)
    assert 1 <= len(found.judged) < 100
    assert found.left == 0
    assert f"step 2 has only {len(found.judged) - 1} of 5000 candidates: around scrfd-" in said[0]


def test_nothing_is_begun_without_a_worker(search, tmp_path):
    with pytest.raises(BadInput, match=r"trained by 1 worker or more; got 0"):
        search(workers=0)
    assert not (tmp_path / "search").exists()


@pytest.mark.slow
def test_killed_at_any_moment_it_loses_nothing_and_repeats_nothing(data, tmp_path):
    """As often as it takes: what had a result is never begun again, and the end is the same."""
    straight, killed = tmp_path / "straight", tmp_path / "killed"
    code = [sys.executable, toy_redistribution.__file__, str(data)]
    subprocess.run([*code, str(straight), "0"], env=environment(), check=True, capture_output=True)
    draw = random.Random(0)
    done: set[str] = set()
    for _ in range(4):
        child = subprocess.Popen(
            [*code, str(killed), "0.05"], env=environment(), stdout=subprocess.PIPE, text=True
        )
        for _ in range(draw.randint(1, 3)):
            child.stdout.readline()
        child.kill()
        child.communicate()
        before = {path.parent.name for path in killed.glob("candidates/*/result.json")}
        assert done <= before
        done = before
    subprocess.run([*code, str(killed), "0"], env=environment(), check=True, capture_output=True)
    assert (killed / "candidates.csv").read_text() == (straight / "candidates.csv").read_text()
    often = {p.parent.name: p.read_text().count("once") for p in killed.glob("candidates/*/begun")}
    assert sum(often.values()) <= 10 + 4  # at most the one at work is begun again
    assert replace(read_asked(killed), folder="") == replace(read_asked(straight), folder="")


# --- refusals -----------------------------------------------------------------------------


def test_a_budget_that_nothing_meets_is_refused_before_anything_is_written(search, tmp_path):
    recipe = toy_search(flops=1e6)
    with pytest.raises(
        NotEnoughData, match=r"step 1 has only 0 of 6: of \d+ layouts that were drawn none new"
    ):
        search(recipe)
    assert not (tmp_path / "search").exists()


def test_another_recipe_is_refused(search):
    search()
    with pytest.raises(BadInput, match=r"holds a search by detection/toy, and detection/other was"):
        search(name="detection/other")


def test_a_setting_that_candidates_depend_on_is_refused(search):
    search()
    with pytest.raises(BadInput, match=r"cannot go on with steps: 2 is now 3: its candidates were"):
        search(changes=["steps=3"])


def test_an_unknown_setting_is_answered_with_the_nearest(search):
    with pytest.raises(NotFound, match=r"no entry 'backbone' .* Did you mean 'backbones'"):
        search(changes=["backbone=3"])


def test_other_photographs_are_refused(search, tmp_path):
    search()
    other = write_photos(tmp_path / "other", photos=9)
    with pytest.raises(BadInput, match=r"is not what .*search was begun with, which was .*photos"):
        search(data=other)


def test_a_folder_with_other_things_is_refused(search, tmp_path):
    (tmp_path / "search").mkdir()
    (tmp_path / "search" / "letter.txt").touch()
    with pytest.raises(BadInput, match=r"is a folder with other things in it, and no search"):
        search()


def test_photographs_that_are_not_there_are_refused(search, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(NotFound, match="empty"):
        search(data=tmp_path / "empty")
    assert not (tmp_path / "search").exists()


def test_two_at_once_in_one_folder_are_refused(search):
    def again(told):
        with pytest.raises(BadInput, match=r"another process trains in .*search"):
            search()

    search(toy_search(backbones=1, networks=0), progress=again)


def test_a_proxy_that_holds_out_nothing_is_refused(search, tmp_path):
    proxy = toy_proxy()
    proxy = replace(proxy, data=replace(proxy.data, held_out=1e-9))
    with pytest.raises(NotEnoughData, match=r"data\.held_out=1e-09 keeps 0 of 12 photographs"):
        search(toy_search(proxy=proxy))
