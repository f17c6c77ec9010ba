r"""Screens for pairs of embeddings on a CPU: 8-bit and float32 products of an inference engine.

The 8-bit screen. A row a is written as a = s q + r: q whole numbers of at most 127, s a float32
scale, r what is left. For rows a (scale s, numbers q, rest r) and b (scale t, numbers p, rest e),
with b' = t p = b - e,

    a.b - s t q.p  =  a.b - (a - r).(b - e)  =  a.e + r.b'

    |a.b - s t q.p|  <=  |a| |e| + |r| |b'|  =  E                       (Cauchy-Schwarz)

q.p is a sum of whole numbers, exact in int32 as long as D * 127 * 127 < 2^31. So if a pair
scores f or more, then s t q.p >= f - E, and

    q.p  >=  (f - E) / (s t)

is all that has to be compared, with one limit for each row of the left side: the right side of
a panel has one scale, and the largest |e| and |b'| of its rows stand for all.

Rounding. s and t are float32, so s t is exact in float64. r is computed in float32 from a number
x as x - s q, off by 2^-24 (|s q| + |r|) at most, so that its length is off by less than
2^-24 * 4 |a| < 3e-7; the same holds for e. The float64 score is off the real a.b by less than
1e-14. SLACK = 1e-6, added to E, pays for all three. The sums of squares are float32 sums, low by
at most the fraction (D + 4) 2^-24 in whatever order; the lengths are raised by twice as much. The
division is off by less than 4 * 2^-53 of a number below 2^31, which is less than 1: the limit is
rounded down and lowered by one.

The left side is stored as q + 128 in eight unsigned bits, the zero point of MatMulInteger: the
engine's fast path multiplies unsigned with signed. On CPUs without 32-bit accumulating
instructions such a product can saturate in 16 bits, silently. `open_screens` therefore first
multiplies rows of extreme values; if the sums are wrong, the left side gets seven bits, and if
they still are, there is no 8-bit screen.

The float32 screen is bounded as in `tronie.evaluation.pairs.scores.screen_error`, handed in.

Two threads are best used by two sessions of one thread each on different panels: nothing waits,
and the comparison of one overlaps the product of the other.

Letters: D numbers in a row, L left rows, R right rows of a panel.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, helper, numpy_helper

from tronie.errors import EngineUnavailable
from tronie.runtime.engine import onnxruntime, session_options
from tronie.runtime.session import usable_cores

Rows = NDArray[np.float32]
Places = NDArray[np.int64]

SLACK = 1e-6
MAX_DIMENSION = 2**31 // (127 * 127) - 1
MEASURE_S = 0.05

_INT32 = np.iinfo(np.int32)


@dataclass(frozen=True, eq=False)
class Quantized:
    """Rows as whole numbers: row i is `scale[i]` * `numbers[i]` and a rest."""

    numbers: NDArray[np.int8]
    scale: NDArray[np.float64]
    """(L,), each a float32."""
    rest: NDArray[np.float64]
    """(L,): lengths of what is left."""
    length: NDArray[np.float64]
    """(L,): lengths of the rows."""


@dataclass(frozen=True, eq=False)
class LeftRows:
    """Left rows as the 8-bit product takes them."""

    values: NDArray[np.uint8]
    scale: NDArray[np.float64]
    rest: NDArray[np.float64]
    length: NDArray[np.float64]


def quantize(rows: Rows, scale: NDArray[np.float64], *, levels: int = 127) -> Quantized:
    """Rows (L, D) in steps of `scale` (L,), each a float32 above 0; clipped at `levels` steps."""
    step = scale.astype(np.float32)[:, None]
    steps = np.rint(rows / step)
    np.clip(steps, -levels, levels, out=steps)
    numbers = steps.astype(np.int8)
    steps *= step
    np.subtract(rows, steps, out=steps)
    return Quantized(numbers, scale, _length(steps), _length(rows))


def _length(rows: Rows) -> NDArray[np.float64]:
    """Lengths (L,), never too small: raised by the most that a float32 sum can lose."""
    squared = np.einsum("nd,nd->n", rows, rows).astype(np.float64)
    lengths: NDArray[np.float64] = np.sqrt(squared) * (1 + (rows.shape[1] + 4) * 2.0**-23)
    return lengths


def own_scales(rows: Rows, *, levels: int = 127) -> NDArray[np.float64]:
    """The scale of each row by which its largest number is `levels` steps; (L,), float32 each."""
    largest = np.maximum(np.abs(rows).max(axis=1), np.float32(1e-30))
    scales: NDArray[np.float64] = (largest / np.float32(levels)).astype(np.float64)
    return scales


def common_scale(rows: Rows) -> Quantized:
    """Rows quantized with one scale, by which the largest number of all is 127 steps.

    A smaller scale would clip: it makes most rests smaller, and the largest, which counts,
    larger.
    """
    largest = max(float(np.abs(rows).max()), 1e-30)
    return quantize(rows, np.full(len(rows), np.float32(largest / 127), np.float64))


class Int8Panel:
    """Right rows as the constant side of an 8-bit product."""

    def __init__(self, rows: Rows, *, levels: int) -> None:
        right = common_scale(rows)
        self.scale = float(right.scale[0])
        self.rest = float(right.rest.max())
        self.length = self.scale * float(_length(right.numbers.astype(np.float32)).max())
        self.multiply = int8_product(right.numbers, zero=levels + 1)

    def error(self, left: LeftRows) -> NDArray[np.float64]:
        """E for each left row (L,): no pair of it is further off; see the top of this file."""
        return left.length * self.rest + left.rest * self.length + SLACK

    def hits(self, left: LeftRows, floor: float) -> tuple[Places, Places]:
        """Row and column of every pair that may score `floor` or more; rows ascend."""
        limits = self.limits(left, floor)
        return _at_least(self.multiply(left.values), limits)

    def limits(self, left: LeftRows, floor: float) -> NDArray[np.int32]:
        """The lowest whole-number product that a pair of each left row must reach (L,)."""
        lowest = np.floor((floor - self.error(left)) / (left.scale * self.scale)) - 1
        limits: NDArray[np.int32] = np.clip(lowest, _INT32.min, _INT32.max).astype(np.int32)
        return limits


class Int8Screen:
    """Finds pairs by 8-bit products; see the top of this file for why none is missed."""

    tile_rows = 256
    panel_rows = 2048
    keeps_left = True

    def __init__(self, *, levels: int, workers: int, pairs_per_s: float = 0.0) -> None:
        bits = 8 if levels == 127 else 7
        self.name = f"int8, onnxruntime MatMulInteger, {bits} by 8 bits"
        self.levels = levels
        self.workers = workers
        self.pairs_per_s = pairs_per_s

    def left(self, rows: Rows) -> LeftRows:
        """Rows (L, D), each with its own scale, stored unsigned."""
        q = quantize(rows, own_scales(rows, levels=self.levels), levels=self.levels)
        values = (q.numbers.astype(np.int16) + (self.levels + 1)).astype(np.uint8)
        return LeftRows(values, q.scale, q.rest, q.length)

    def panel(self, rows: Rows) -> Int8Panel:
        """Rows (R, D) made ready as the right side."""
        return Int8Panel(rows, levels=self.levels)

    def typical_error(self, rows: Rows) -> float:
        """How far below a floor a pair of such rows may look and still be found."""
        left, right = self.left(rows), common_scale(rows)
        return float(np.median(left.length) * right.rest.max() + np.median(left.rest))


class Float32Panel:
    """Right rows as the constant side of a float32 product."""

    def __init__(self, rows: Rows, *, error: float) -> None:
        self.error = error
        self._multiply = float32_product(rows)

    def product(self, left: Rows) -> NDArray[np.float32]:
        """All scores (L, R), each within `error` of the exact one."""
        return self._multiply(left)

    def hits(self, left: Rows, floor: float) -> tuple[Places, Places]:
        """Row and column of every pair that may score `floor` or more; rows ascend."""
        # The nearest float32 may lie above the limit; the one below never does.
        limit = np.nextafter(np.float32(floor - self.error), np.float32(-np.inf))
        return _at_least(self.product(left), np.full(len(left), limit))


class Float32Screen:
    """Finds pairs by float32 products, and gives all of them.

    Args:
        error: How far a product of two rows may be from the exact score, whatever the order
            of its sum.
    """

    tile_rows = 256
    panel_rows = 2048
    keeps_left = False

    def __init__(self, *, error: float, workers: int, pairs_per_s: float = 0.0) -> None:
        self.name = "float32, onnxruntime MatMul"
        self.error = error
        self.workers = workers
        self.pairs_per_s = pairs_per_s

    def left(self, rows: Rows) -> Rows:
        """The rows themselves."""
        return rows

    def panel(self, rows: Rows) -> Float32Panel:
        """Rows (R, D) made ready as the right side."""
        return Float32Panel(rows, error=self.error)

    products = panel

    def typical_error(self, rows: Rows) -> float:
        """How far below a floor a pair may look and still be found."""
        return self.error


def open_screens(
    dimension: int, *, float32_error: float, threads: int | None = None
) -> list[Int8Screen | Float32Screen]:
    """The screens that this machine can run, each tested and its speed measured.

    Args:
        dimension: D.
        float32_error: How far a float32 product of two rows may be from the exact score.
        threads: Cores to be used; default: those that this process may use.

    Raises:
        EngineUnavailable: `threads` is below 1.
    """
    workers = usable_cores() if threads is None else threads
    if workers < 1:
        raise EngineUnavailable(f"threads must be at least 1; got {threads}")
    screens: list[Int8Screen | Float32Screen] = [
        Float32Screen(error=float32_error, workers=workers)
    ]
    levels = safe_levels(dimension)
    if levels is not None:
        screens.insert(0, Int8Screen(levels=levels, workers=workers))
    for screen in screens:
        screen.pairs_per_s = measured_speed(screen, dimension)
    return screens


def safe_levels(
    dimension: int,
    product: Callable[..., Callable[[NDArray[np.uint8]], NDArray[np.int32]]] | None = None,
) -> int | None:
    """The most steps (127, then 63) for which extreme rows are multiplied rightly, or None.

    `product` is `int8_product`, or what stands for it in a test.
    """
    made = product or int8_product
    if dimension > MAX_DIMENSION:
        return None
    for levels in (127, 63):
        left, right = _extreme_rows(dimension, levels)
        expected = (left.astype(np.int64) - (levels + 1)) @ right.T.astype(np.int64)
        multiply = made(right, zero=levels + 1)
        # Kernels differ by the number of rows: one, a few, many.
        if all(np.array_equal(multiply(left[:n]), expected[:n]) for n in (1, 2, 5, len(left))):
            return levels
    return None


def measured_speed(screen: Int8Screen | Float32Screen, dimension: int) -> float:
    """Pairs per second of all workers together, from a short run on random rows."""
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((screen.panel_rows, dimension), dtype=np.float32)
    rows /= np.sqrt(np.einsum("nd,nd->n", rows, rows))[:, None]
    left: Any = screen.left(rows[: screen.tile_rows])
    panels: list[Any] = [screen.panel(rows) for _ in range(screen.workers)]
    for panel in panels:
        panel.hits(left, 2.0)
    done = [0] * len(panels)
    start_s = time.perf_counter()

    def work(n: int) -> None:
        # Once at least: where a machine is busy, a thread may begin after the time is over.
        while not done[n] or time.perf_counter() - start_s < MEASURE_S:
            panels[n].hits(left, 2.0)
            done[n] += 1

    threads = [threading.Thread(target=work, args=(n,)) for n in range(len(panels))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    pairs = sum(done) * screen.tile_rows * screen.panel_rows
    return pairs / (time.perf_counter() - start_s)


def int8_product(
    right: NDArray[np.int8], *, zero: int
) -> Callable[[NDArray[np.uint8]], NDArray[np.int32]]:
    """left (L, D) uint8 -> (left - `zero`) @ right.T (L, R), on one thread."""
    node = helper.make_node("MatMulInteger", ["left", "right", "zero"], ["product"])
    constants = {"right": np.ascontiguousarray(right.T), "zero": np.array(zero, np.uint8)}
    run = _compiled(node, constants, TensorProto.UINT8)

    def multiply(left: NDArray[np.uint8]) -> NDArray[np.int32]:
        product: NDArray[np.int32] = run(left)
        return product

    return multiply


def float32_product(right: Rows) -> Callable[[Rows], NDArray[np.float32]]:
    """left (L, D) float32 -> left @ right.T (L, R), on one thread."""
    node = helper.make_node("MatMul", ["left", "right"], ["product"])
    constants = {"right": np.ascontiguousarray(right.T)}
    run = _compiled(node, constants, TensorProto.FLOAT)

    def multiply(left: Rows) -> NDArray[np.float32]:
        product: NDArray[np.float32] = run(left)
        return product

    return multiply


def _at_least(product: NDArray[Any], limits: NDArray[Any]) -> tuple[Places, Places]:
    """Row and column of the entries of (L, R) that reach the limit of their row."""
    rows = np.flatnonzero(product.max(axis=1) >= limits)
    if len(rows) == 0:
        return rows, rows
    flat = np.flatnonzero(product[rows] >= limits[rows, None])
    i, j = np.divmod(flat, product.shape[1])
    return rows[i], j


def _compiled(
    node: NodeProto, constants: dict[str, NDArray[Any]], takes: int
) -> Callable[[NDArray[Any]], Any]:
    """A function from `left` to `product`, run by a session of one thread."""
    gives = TensorProto.INT32 if takes == TensorProto.UINT8 else TensorProto.FLOAT
    dimension = len(constants["right"])
    graph = helper.make_graph(
        [node],
        "scores",
        [helper.make_tensor_value_info("left", takes, [None, dimension])],
        [helper.make_tensor_value_info("product", gives, None)],
        [numpy_helper.from_array(array, name) for name, array in constants.items()],
    )
    opset = helper.make_opsetid("", 13)
    model = helper.make_model(graph, opset_imports=[opset], ir_version=8)
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), session_options(1), providers=["CPUExecutionProvider"]
    )
    return lambda left: session.run(None, {"left": np.ascontiguousarray(left)})[0]


def _extreme_rows(dimension: int, levels: int) -> tuple[NDArray[np.uint8], NDArray[np.int8]]:
    """Rows whose partial sums are the largest there can be, and rows with only some of them."""
    rng = np.random.default_rng(0)
    low, high, zero = 1, 2 * levels + 1, levels + 1
    left = [np.full(dimension, v) for v in (high, low, zero)]
    left += [rng.choice([low, high], dimension) for _ in range(30)]
    right = [np.full(dimension, v) for v in (127, -127, 0)]
    right += [
        np.where(row == high, sign * 127, -sign * 127) for row in left[3:] for sign in (1, -1)
    ]
    return np.array(left, np.uint8), np.array(right, np.int8)
