"""The panels of a pass over all pairs, spread over a Ray cluster; the same result to the bit.

    with ray_spread("192.0.2.1:6379", screens=open_screens) as spread:
        prepared.run(spread=spread)

    driver   hands out groups of panels, joins the parts, writes the checkpoint
    node     opens its own screens, keeps its quantized left rows, returns a part for each group

The matrix and the pairing go into Ray's object store once, and each node maps them. A part is
the best pairs at or above the floor that was proven when its group was handed out, and counts;
a floor that has risen since only means that more is returned than was needed. So parts do not
depend on who computed them or when, and joining them does not depend on their order: what a
lost node had in hands is computed again elsewhere, and nothing changes but the time.

A task takes all cores of the smallest node, with as many threads, since its left rows are kept
in memory once for each process. Tasks are a few seconds long: short enough to lose one, long
enough that sending a part back does not count.

A Ray cluster runs whatever is sent to it: use one that only you can reach. Every node needs the
same version of tronie.
"""

from __future__ import annotations

import socket
import uuid
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

from tronie.errors import BadInput, EngineUnavailable, TronieError
from tronie.evaluation.pairs.pairing import Pairing
from tronie.evaluation.pairs.scores import ProductScreen, Rows, Screen, screen_error
from tronie.evaluation.pairs.sweep import Part, Pass, Spread, Sweeper, joined_part, new_pass

TASK_S = 2.0
"""About how long a task takes, unless one panel takes longer."""
TASKS_EACH = 4
"""Tasks that each place should at least get, so that none waits long for the last."""
CONNECT_S = 5.0

_IN_HAND = 2  # tasks handed out for each place that runs one


class NodeScreens(Protocol):
    """Opens what a node can run, such as `tronie.runtime.score_scan.open_screens`.

    It travels by its name, so it is a function of a module that every node has.
    """

    def __call__(self, dimension: int, *, float32_error: float, threads: int) -> Sequence[Screen]:
        """Screens for rows of `dimension` numbers, at least one of which gives products."""
        ...


@dataclass(frozen=True, eq=False, kw_only=True)
class _Asked:
    """What all groups of one pass have in common."""

    run: str
    """Names the matrix and the pairs: what a node has made for them it keeps."""
    screens: NodeScreens
    screen: str
    """Name of the planned screen."""
    threads: int
    panel_rows: int
    keep: int
    brackets: list[tuple[float, float]]


@contextmanager
def ray_spread(address: str, *, screens: NodeScreens) -> Iterator[Spread]:
    """Connect to a Ray cluster, and compute parts on all of its nodes.

    Args:
        address: HOST:PORT of the head, or "auto" for the cluster that this machine is part of.
            This machine must be one of its nodes.
        screens: Opens the screens of a node.

    Raises:
        BadInput: `address` is of another form.
        EngineUnavailable: Ray is not installed, or there is no cluster, or none of its nodes
            has a core; or, while it runs, a node has no tronie or not what the screens need.
    """
    ray = _ray()
    _connect(ray, address)
    try:
        yield _RaySpread(ray, address, screens)
    finally:
        ray.shutdown()


class _RaySpread:
    """See `tronie.evaluation.pairs.sweep.Spread`."""

    def __init__(self, ray: Any, address: str, screens: NodeScreens) -> None:
        self._ray = ray
        self._address = address
        self._screens = screens
        self._threads = _smallest_node(ray, address)
        self._stored: tuple[Rows, Pairing, str, Any, Any] | None = None

    def __call__(self, sweeper: Sweeper, panels: Sequence[int]) -> Generator[Part, None, None]:
        ray, state = self._ray, sweeper.state
        run, unit, chosen = self._store(sweeper)
        asked = ray.put(
            _Asked(
                run=run,
                screens=self._screens,
                screen=sweeper.screen.name,
                threads=self._threads,
                panel_rows=state.panel_rows,
                keep=state.top.keep,
                brackets=[(bracket.low, bracket.high) for bracket in state.brackets],
            )
        )
        task = ray.remote(num_cpus=self._threads, max_retries=-1)(search_group)
        todo = iter(groups(sweeper, panels, threads=self._threads, places=self._places()))
        running: list[Any] = []
        try:
            while True:
                room = _IN_HAND * self._places()
                while len(running) < room and (group := next(todo, None)) is not None:
                    running.append(task.remote(unit, chosen, asked, group, state.top.floor))
                if not running:
                    return
                ended, running = ray.wait(running, num_returns=1)
                yield self._part(ended[0])
        finally:
            for left_over in running:
                ray.cancel(left_over)

    def _store(self, sweeper: Sweeper) -> tuple[str, Any, Any]:
        """Names of the matrix and the pairs in the object store; they are put there once."""
        unit, chosen = sweeper.unit, sweeper.chosen
        stored = self._stored
        if stored is None or stored[0] is not unit or stored[1] is not chosen:
            refs = self._ray.put(unit), self._ray.put(chosen)
            self._stored = stored = (unit, chosen, uuid.uuid4().hex, *refs)
        return stored[2:]

    def _places(self) -> int:
        """How many tasks run at once by now: nodes come and go."""
        return max(1, sum(cores // self._threads for cores in _cores(self._ray)))

    def _part(self, ref: Any) -> Part:
        try:
            part: Part = self._ray.get(ref)
        except self._ray.exceptions.RayTaskError as fault:
            cause = fault.cause
            if isinstance(cause, ImportError):
                raise EngineUnavailable(
                    f"a node of the Ray cluster at {self._address} cannot search ({cause}); "
                    "install the same version of tronie[scale] on each node"
                ) from fault
            if isinstance(cause, TronieError):
                raise cause from fault
            raise
        return part


def groups(
    sweeper: Sweeper, panels: Sequence[int], *, threads: int, places: int
) -> Iterator[list[int]]:
    """`panels` in their order, as groups of about TASK_S on `threads` cores, or smaller.

    Smaller where there would not be TASKS_EACH for each of the `places` that run one at a time.
    """
    screen = sweeper.screen
    visits = [sweeper.visits(panel) for panel in panels]
    size = min(
        TASK_S * screen.pairs_per_s * threads / screen.workers,
        sum(visits) / (TASKS_EACH * places),
    )
    group: list[int] = []
    filled = 0
    for panel, visited in zip(panels, visits, strict=True):
        if group and filled + visited > size:
            yield group
            group, filled = [], 0
        group.append(panel)
        filled += visited
    if group:
        yield group


_kept: dict[str, Sweeper] = {}


def search_group(
    unit: Rows, chosen: Pairing, asked: _Asked, panels: list[int], floor: float
) -> Part:
    """What a node does: the part of some panels, with the floor known by now."""
    sweeper = _kept.get(asked.run)
    if sweeper is None or (asked.brackets and not isinstance(sweeper.screen, ProductScreen)):
        screen = node_screen(
            asked.screens(
                unit.shape[1], float32_error=screen_error(unit.shape[1]), threads=asked.threads
            ),
            planned=asked.screen,
            counts=bool(asked.brackets),
        )
        sweeper = Sweeper(unit, chosen, screen, _fresh(chosen, asked, floor))
        _kept.clear()  # left rows of one matrix at a time
        _kept[asked.run] = sweeper
    sweeper.state = _fresh(chosen, asked, floor)
    return joined_part(sweeper, panels)


def node_screen(screens: Sequence[Screen], *, planned: str, counts: bool) -> Screen:
    """The planned screen if the node has it; otherwise its fastest that can do the work."""
    able = [screen for screen in screens if not counts or isinstance(screen, ProductScreen)]
    return max(able, key=lambda screen: (screen.name == planned, screen.pairs_per_s))


def _fresh(chosen: Pairing, asked: _Asked, floor: float) -> Pass:
    return new_pass(
        chosen,
        panel_rows=asked.panel_rows,
        keep=asked.keep,
        floor=floor,
        brackets=asked.brackets,
    )


def _ray() -> Any:
    try:
        import ray
    except ImportError as fault:
        raise EngineUnavailable(
            "a Ray cluster was asked for and Ray is not installed; run: pip install 'tronie[scale]'"
        ) from fault
    return ray


def _connect(ray: Any, address: str) -> None:
    """Ray itself waits for minutes for a head that is not there, so somebody knocks first."""
    missing = f"no Ray cluster at {address}; start one with `ray start --head`"
    if address != "auto":
        host, colon, port = address.rpartition(":")
        if not (host and colon and port.isdecimal()) or "/" in host:
            raise BadInput(
                f'a Ray cluster is named HOST:PORT or "auto"; got {address!r}; '
                "run this on one of its nodes"
            )
        try:
            socket.create_connection((host, int(port)), timeout=CONNECT_S).close()
        except (OSError, OverflowError) as fault:
            raise EngineUnavailable(f"{missing} ({fault})") from fault
    try:
        ray.init(address=address, logging_level="ERROR", log_to_driver=False)
    except (ConnectionError, ValueError, RuntimeError) as fault:
        raise EngineUnavailable(f"{missing} ({str(fault).splitlines()[0]})") from fault


def _cores(ray: Any) -> list[int]:
    """Cores of each node that is alive and has one."""
    every = [int(node["Resources"].get("CPU", 0)) for node in ray.nodes() if node["Alive"]]
    return [cores for cores in every if cores]


def _smallest_node(ray: Any, address: str) -> int:
    cores = _cores(ray)
    if not cores:
        raise EngineUnavailable(
            f"no node of the Ray cluster at {address} has a core to give; "
            "start one with `ray start --address`"
        )
    return min(cores)
