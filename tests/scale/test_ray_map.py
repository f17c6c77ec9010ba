"""All pairs over a Ray cluster: the bits of one machine, also when a node is killed."""

from __future__ import annotations

import socket
import sys
import threading
import time

import numpy as np
import pytest

import pairs_oracle
from tronie.errors import BadInput, EngineUnavailable
from tronie.evaluation.pairs import bracket
from tronie.evaluation.pairs import plan as plans
from tronie.evaluation.pairs.all_pairs import measure_pairs
from tronie.evaluation.pairs.pairing import pairing
from tronie.evaluation.pairs.plan import make_plan
from tronie.evaluation.pairs.scores import NumpyScreen, screen_error
from tronie.evaluation.pairs.sweep import Sweeper, joined_part, new_pass, run_pass
from tronie.geometry.hypersphere import normalize
from tronie.runtime.score_scan import Float32Screen, Int8Screen, open_screens
from tronie.scale import ray_map
from tronie.scale.ray_map import groups, node_screen, ray_spread, search_group
from working_tree import environment

UNIT, PEOPLE = pairs_oracle.hard_sets()["distractors"]
CHOSEN = pairing(PEOPLE)


def screens_of_numpy(dimension, *, float32_error, threads):
    screen = NumpyScreen()
    screen.tile_rows = 8
    return [screen]


def small_sweeper():
    state = new_pass(CHOSEN, panel_rows=8, keep=20, floor=-np.inf, brackets=[(0.0, 0.1)])
    return Sweeper(UNIT, CHOSEN, NumpyScreen(), state)


def asked_of(sweeper, **changed):
    state = sweeper.state
    told = {
        "run": "one",
        "screens": screens_of_numpy,
        "screen": sweeper.screen.name,
        "threads": 2,
        "panel_rows": state.panel_rows,
        "keep": state.top.keep,
        "brackets": [(bracket.low, bracket.high) for bracket in state.brackets],
    }
    return ray_map._Asked(**(told | changed))


@pytest.fixture
def nothing_kept(monkeypatch):
    monkeypatch.setattr(ray_map, "_kept", {})


def in_groups(size, seen):
    """What the cluster does, here: each group alone, the last first, with a floor of its time."""

    def spread(sweeper, panels):
        todo = [list(panels[at : at + size]) for at in range(0, len(panels), size)]
        first = sweeper.state.top.floor
        for group in reversed(todo):
            seen.append(group)
            yield search_group(UNIT, CHOSEN, asked_of(sweeper), group, first)

    return spread


@pytest.mark.parametrize("size", [1, 3, 100])
def test_parts_of_groups_in_any_order_join_to_the_same_pass(size, nothing_kept):
    alone, spread_out = small_sweeper().state, small_sweeper().state
    run_pass(UNIT, CHOSEN, NumpyScreen(), alone)
    seen, told = [], []
    run_pass(
        UNIT, CHOSEN, NumpyScreen(), spread_out, spread=in_groups(size, seen),
        progress=lambda done, total: told.append((done, total)),
    )  # fmt: skip
    assert len(seen) == -(-len(alone.done) // size)
    assert told[0][0] == 0
    assert told[-1][0] == told[-1][1]
    assert spread_out.done.all()
    for a, b in zip(alone.top.best(), spread_out.top.best(), strict=True):
        np.testing.assert_array_equal(a, b)
    a, b = alone.brackets[0], spread_out.brackets[0]
    assert (a.above, a.inside) == (b.above, b.inside)
    np.testing.assert_array_equal(a.rows, b.rows)
    np.testing.assert_array_equal(np.sort(a.codes), np.sort(b.codes))


def test_a_node_keeps_its_screens_for_the_next_group_and_forgets_them_for_another_run(
    nothing_kept,
):
    opened = []

    def counted(dimension, *, float32_error, threads):
        opened.append((dimension, float32_error, threads))
        return screens_of_numpy(dimension, float32_error=float32_error, threads=threads)

    sweeper = small_sweeper()
    for run, expected in [("one", 1), ("one", 1), ("two", 2), ("one", 3)]:
        search_group(UNIT, CHOSEN, asked_of(sweeper, run=run, screens=counted), [0], -np.inf)
        assert len(opened) == expected
    assert opened[0] == (UNIT.shape[1], screen_error(UNIT.shape[1]), 2)


def test_a_floor_that_is_known_spares_pairs_below_it(nothing_kept):
    sweeper = small_sweeper()
    every = search_group(UNIT, CHOSEN, asked_of(sweeper), [7, 8], -np.inf).top.best()[0]
    floor = float(every[4])
    some = search_group(UNIT, CHOSEN, asked_of(sweeper), [7, 8], floor).top.best()[0]
    np.testing.assert_array_equal(some, every[every >= floor])


def test_a_group_that_overflows_stops_early_and_says_so(monkeypatch):
    sweeper = small_sweeper()
    monkeypatch.setattr(bracket, "MAX_KEPT", 3)
    part = joined_part(sweeper, list(range(len(sweeper.state.done))))
    assert part.brackets[0].overflowed
    assert not sweeper.state.done.all()


def test_groups_hold_every_panel_once_in_its_order_and_take_about_as_long():
    sweeper = small_sweeper()
    panels = list(reversed(range(len(sweeper.state.done))))
    whole = sum(sweeper.visits(panel) for panel in panels)
    made = list(groups(sweeper, panels, threads=1, places=1))
    assert [panel for group in made for panel in group] == panels
    fair = whole / ray_map.TASKS_EACH
    assert len(made) >= ray_map.TASKS_EACH
    for group in made:
        assert len(group) == 1 or sum(sweeper.visits(panel) for panel in group) <= fair
    # Two seconds at so few pairs a second are less than a panel.
    sweeper.screen.pairs_per_s = 1.0
    assert list(groups(sweeper, panels, threads=1, places=1)) == [[panel] for panel in panels]
    assert list(groups(sweeper, [], threads=1, places=1)) == []


def test_a_node_runs_the_planned_screen_or_its_fastest_that_can():
    coarse = Int8Screen(levels=63, workers=1, pairs_per_s=3.0)
    fine = Float32Screen(error=1e-5, workers=1, pairs_per_s=2.0)
    slow = NumpyScreen(pairs_per_s=1.0)
    every = [coarse, fine, slow]
    assert node_screen(every, planned="float32, numpy", counts=False) is slow
    assert node_screen(every, planned="int8 with 8 bits", counts=False) is coarse
    assert node_screen(every, planned="int8 with 8 bits", counts=True) is fine


def test_without_ray_it_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    expected = r"Ray is not installed; run: pip install 'tronie\[scale\]'"
    with (
        pytest.raises(EngineUnavailable, match=expected),
        ray_spread("auto", screens=open_screens),
    ):
        pass


class Nobody:
    """Stands where Ray would be, and must not be asked."""


@pytest.mark.parametrize("address", ["nonsense", "ray://127.0.0.1:10001", ":6379", "here:port", ""])
def test_an_address_of_another_form_is_refused(monkeypatch, address):
    monkeypatch.setitem(sys.modules, "ray", Nobody)
    with (
        pytest.raises(BadInput, match='is named HOST:PORT or "auto"; got'),
        ray_spread(address, screens=open_screens),
    ):
        pass


def test_where_nobody_listens_it_says_at_once_how_to_start_a_cluster(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", Nobody)
    with socket.socket() as taken:  # bound and not listening: nobody else can answer there
        taken.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        expected = f"no Ray cluster at {address}; start one with `ray start --head`"
        with (
            pytest.raises(EngineUnavailable, match=expected),
            ray_spread(address, screens=open_screens),
        ):
            pass


class RayTaskError(Exception):
    def __init__(self, cause):
        self.cause = cause


class RayHere:
    """As much of Ray as the driver uses; a task runs when it is asked for."""

    class exceptions:  # noqa: N801 - a module of Ray's
        RayTaskError = RayTaskError

    def __init__(self, cores=(2, 3, 0), fault=None, known=True):
        self.cores, self.fault, self.known = cores, fault, known
        self.stored, self.floors, self.most, self.running = [], [], 0, set()
        self.cancelled, self.closed = 0, False

    def init(self, *, address, logging_level, log_to_driver):
        if not self.known:
            raise ConnectionError("Could not find any running Ray instance.\nMore.")

    def shutdown(self):
        self.closed = True

    def nodes(self):
        dead = [{"Alive": False, "Resources": {"CPU": 1.0}}]
        return dead + [{"Alive": True, "Resources": {"CPU": float(n)}} for n in self.cores]

    def put(self, value):
        self.stored.append(value)
        return value

    def remote(self, *, num_cpus, max_retries):
        assert (num_cpus, max_retries) == (2, -1)
        here = self

        class Task:
            def __init__(self, function):
                self.function = function

            def remote(self, *arguments):
                here.floors.append(arguments[-1])
                ref = (self.function, arguments)
                here.running.add(id(ref))
                here.most = max(here.most, len(here.running))
                return ref

        return Task

    def wait(self, refs, *, num_returns):
        return [refs[-1]], refs[:-1]

    def get(self, ref):
        self.running.discard(id(ref))
        if self.fault is not None:
            raise RayTaskError(self.fault)
        function, arguments = ref
        return function(*arguments)

    def cancel(self, ref):
        self.cancelled += 1


@pytest.fixture
def ray_here(monkeypatch, nothing_kept):
    """Installs a stand-in for Ray, with what it is to say."""

    def put(**told):
        stand_in = RayHere(**told)
        monkeypatch.setitem(sys.modules, "ray", stand_in)
        return stand_in

    return put


def measured(spread):
    screen = NumpyScreen()
    screen.panel_rows = 4
    plan = make_plan(UNIT, CHOSEN, fars=(0.05, 0.01), screens=[screen])
    return measure_pairs(UNIT, CHOSEN, plan, spread=spread).points


def test_the_driver_stores_rows_once_hands_out_two_tasks_a_place_and_only_raises_floors(ray_here):
    ray = ray_here()
    with ray_spread("auto", screens=screens_of_numpy) as spread:
        for a, b in zip(measured(None), measured(spread), strict=True):
            same(a, b)
        measured(spread)
        assert not ray.closed
    assert ray.closed
    assert sum(stored is UNIT for stored in ray.stored) == 1
    assert ray.most == 4  # two places: a node of two cores, and two of the three of another
    half = len(ray.floors) // 2
    for floors in (ray.floors[:half], ray.floors[half:]):
        assert floors == sorted(floors)
        assert floors[0] < floors[-1]


def test_whoever_stops_listening_takes_back_what_was_handed_out(ray_here):
    ray = ray_here()
    sweeper = small_sweeper()
    with ray_spread("auto", screens=screens_of_numpy) as spread:
        parts = spread(sweeper, range(len(sweeper.state.done)))
        next(parts)
        parts.close()
    assert ray.cancelled == 3


def test_a_node_without_tronie_is_named_as_the_fault(ray_here):
    ray_here(fault=ModuleNotFoundError("No module named 'tronie'"))
    expected = r"at auto cannot search \(No module named 'tronie'\); install the same version"
    with (
        ray_spread("auto", screens=screens_of_numpy) as spread,
        pytest.raises(EngineUnavailable, match=expected),
    ):
        measured(spread)


def test_what_a_node_refuses_is_refused_here_in_the_same_words(ray_here):
    ray_here(fault=EngineUnavailable("threads must be at least 1; got 0"))
    with (
        ray_spread("auto", screens=screens_of_numpy) as spread,
        pytest.raises(EngineUnavailable, match=r"^threads must be at least 1; got 0$"),
    ):
        measured(spread)


def test_a_fault_of_ours_on_a_node_stays_one(ray_here):
    ray_here(fault=ZeroDivisionError("division by zero"))
    with (
        ray_spread("auto", screens=screens_of_numpy) as spread,
        pytest.raises(RayTaskError, match="division by zero"),
    ):
        measured(spread)


def test_where_no_cluster_runs_it_says_so(ray_here):
    ray_here(known=False)
    expected = "no Ray cluster at auto; start one with `ray start --head` .Could not find any"
    with (
        pytest.raises(EngineUnavailable, match=expected),
        ray_spread("auto", screens=screens_of_numpy),
    ):
        pass


def test_a_cluster_without_a_core_is_refused_and_left(ray_here):
    ray = ray_here(cores=(0,))
    with (
        pytest.raises(EngineUnavailable, match="no node of the Ray cluster at auto has a core"),
        ray_spread("auto", screens=screens_of_numpy),
    ):
        pass
    assert ray.closed


def many_rows():
    """6000 rows of 64 numbers: 2000 people, a tenth of the rows copied from somebody else."""
    rng = np.random.default_rng(5)
    people = np.repeat(np.arange(2000), 3)
    rows = rng.normal(size=(2000, 64))[people] + 0.7 * rng.normal(size=(6000, 64))
    copies = rng.choice(6000, 600, replace=False)
    rows[copies[:300]] = rows[copies[300:]]
    return normalize(rows)[0], people


def same(a, b):
    assert (a.threshold, a.false_matches, a.accepted) == (b.threshold, b.false_matches, b.accepted)
    assert (a.far_interval, a.tar_interval) == (b.far_interval, b.tar_interval)
    np.testing.assert_array_equal(a.false_matches_of_row, b.false_matches_of_row)
    np.testing.assert_array_equal(a.misses_of_row, b.misses_of_row)


def wait_until(true, seconds=60.0):
    end_s = time.monotonic() + seconds
    while not true() and time.monotonic() < end_s:
        threading.Event().wait(0.01)


@pytest.fixture
def cluster(monkeypatch):
    """A head and a second node, of one core each, whose workers import the working tree."""
    pytest.importorskip("ray")
    from ray import cloudpickle
    from ray.cluster_utils import Cluster

    monkeypatch.setenv("PYTHONPATH", environment()["PYTHONPATH"])
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    monkeypatch.setenv("RAY_health_check_period_ms", "200")
    monkeypatch.setenv("RAY_health_check_timeout_ms", "1000")
    monkeypatch.setenv("RAY_health_check_failure_threshold", "2")
    cloudpickle.register_pickle_by_value(sys.modules[__name__])  # nodes do not have this file
    made = Cluster(
        initialize_head=True,
        head_node_args={"num_cpus": 1, "object_store_memory": 10**8, "include_dashboard": False},
    )
    yield made
    made.shutdown()
    cloudpickle.unregister_pickle_by_value(sys.modules[__name__])


@pytest.mark.slow
@pytest.mark.parametrize("path", ["kept", "counted"])
def test_a_node_killed_in_the_middle_changes_no_bit(cluster, monkeypatch, tmp_path, path):
    if path == "counted":
        monkeypatch.setattr(plans, "LOOSE_KEPT_AT_MOST", 0)
    unit, people = many_rows()
    chosen = pairing(people)
    screen = Float32Screen(error=screen_error(64), workers=1, pairs_per_s=1e8)
    screen.panel_rows = 200
    plan = make_plan(unit, chosen, fars=(5e-3, 1e-3, 1e-5), screens=[screen])
    assert bool(plan.brackets) == (path == "counted")
    alone = measure_pairs(unit, chosen, plan, missed=20)

    second = cluster.add_node(num_cpus=1, object_store_memory=10**8)
    cluster.wait_for_nodes()
    lost = str(second.node_id)
    stuck = tmp_path / "stuck"

    def on_node(dimension, *, float32_error, threads):
        import ray

        here = ray.get_runtime_context().get_node_id()
        one = open_screens(dimension, float32_error=float32_error, threads=threads)[-1]
        made, log = one.panel, tmp_path / here

        def panel(rows):
            begun = log.stat().st_size if log.exists() else 0
            with log.open("a") as file:
                file.write(".")
            if here == lost and begun == 1:
                stuck.touch()
                wait_until(lambda: False)  # in the middle of its second panel it is killed
            if here != lost and begun == 3:
                wait_until(stuck.exists)  # or one node would do everything before
            return made(rows)

        one.panel = one.products = panel
        return [one]

    def kill():
        wait_until(stuck.exists)
        cluster.remove_node(second, allow_graceful=False)

    monkeypatch.setattr(ray_map, "TASK_S", 1e-3)
    killer = threading.Thread(target=kill)
    killer.start()
    seen = []
    with ray_spread(cluster.address, screens=on_node) as spread:
        spread_out = measure_pairs(
            unit, chosen, plan, missed=20, progress=lambda *done: seen.append(done), spread=spread
        )
    killer.join()
    panels = (
        len((tmp_path / lost).read_text()),
        len((tmp_path / cluster.head_node.node_id).read_text()),
    )
    assert stuck.exists()
    assert panels[0] == 2
    assert sum(panels) > 30  # what was lost was done again
    assert seen[-1][0] == seen[-1][1]
    for a, b in zip(alone.points, spread_out.points, strict=True):
        same(a, b)
    assert (alone.worst, alone.missed) == (spread_out.worst, spread_out.missed)
