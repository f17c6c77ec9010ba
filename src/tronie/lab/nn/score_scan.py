"""Screens for pairs of embeddings on a GPU: 8-bit and float32 products of torch.

The 8-bit screen is that of `tronie.runtime.score_scan`, with its proof: the same numbers,
scales, rests, and limits, computed by the same steps of IEEE arithmetic on the device. Both
sides are signed here, as tensor cores take them; their sums are int32 and exact, which a
self-test with extreme rows checks at opening.

    rows     (L, D) float32 to the device, once: each left tile is kept there, 5 L D bytes
    product  (L, R) int32, compared on the device with one limit for each left row
    near     what reached it is multiplied again in float32 on the device, within its own bound
    hits     only what is left comes back to the host, which scores it in float64

Between the 8-bit and the float32 bound lies most of what an 8-bit product proposes: several
times the pairs that are wanted. The host would need a microsecond for each.

bfloat16 is not used: its tensor cores do half as many products a second as those for 8-bit
numbers, it takes twice the memory, and its sums are rounded and would need a bound.

The float32 screen runs without TF32, whose eleven bits break the bound: opening it sets
torch's precision of float32 products to "highest" for the process, and checks it by a
product. Its scores come to the host to be counted, so counting is as fast as that road.

What a device can do is bounded by its memory traffic: an int32 for each pair is written once
and read once. Tiles are large, so that starting a kernel does not count.

Letters: D numbers in a row, L left rows, R right rows of a panel.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tronie.errors import BadInput, EngineUnavailable
from tronie.evaluation.pairs.scores import at_most_float32, screen_error
from tronie.runtime.score_scan import SLACK, safe_levels

Rows = NDArray[np.float32]
Places = NDArray[np.int64]

MEASURE_S = 0.2
LEVELS = 127

_CPU_TILE, _CPU_PANEL = 1024, 8192
_GPU_TILE, _GPU_PANEL = 8192, 65536
_GPU_PRODUCT_PANEL = 16384
_SHARE_OF_FREE = 8  # one tile may take an eighth of the device's free memory
_TILE_BYTES = 6  # of a pair: an int32, whether it reached its limit, and its number if it did
_NEAR_AT_ONCE = 1 << 16
_INT32 = np.iinfo(np.int32)
# Kernels of tensor cores ask for more than 16 rows, and for numbers and columns by 8.
_MULTIPLE = 16
_FEWEST = 32


@dataclass(frozen=True, eq=False)
class Quantized:
    """Rows as whole numbers, all on the device; see `tronie.runtime.score_scan.Quantized`."""

    numbers: Tensor
    """(L, D) int8."""
    scale: Tensor
    """(L,) float64, each a float32."""
    rest: Tensor
    """(L,) float64: lengths of what is left."""
    length: Tensor
    """(L,) float64: lengths of the rows."""


@dataclass(frozen=True, eq=False)
class LeftRows:
    """Left rows as the 8-bit product takes them, and as they are."""

    quantized: Quantized
    rows: Tensor
    """(L, D) float32."""


def quantize(rows: Tensor, scale: Tensor) -> Quantized:
    """Rows (L, D) float32 in steps of `scale` (L,) float32 above 0; clipped at 127 steps."""
    step = scale[:, None]
    steps = torch.round(rows / step).clamp_(-LEVELS, LEVELS)
    numbers = steps.to(torch.int8)
    rests = rows - steps * step
    return Quantized(numbers, scale.double(), _length(rests), _length(rows))


def own_scales(rows: Tensor) -> Tensor:
    """The scale (L,) float32 of each row by which its largest number is 127 steps."""
    return _steps_of(rows.abs().amax(dim=1))


def common_scale(rows: Tensor) -> Tensor:
    """One scale for all rows, (R,) float32, by which their largest number is 127 steps."""
    return _steps_of(rows.abs().amax()).expand(len(rows))


def _steps_of(largest: Tensor) -> Tensor:
    # Divided by a tensor: by a number, a GPU multiplies with its rounded reciprocal.
    return largest.clamp(min=1e-30) / torch.full_like(largest, LEVELS)


def _length(rows: Tensor) -> Tensor:
    """Lengths (L,) float64, never too small: raised by the most a float32 sum can lose."""
    squared = (rows * rows).sum(dim=1, dtype=torch.float32).double()
    return squared.sqrt() * (1 + (rows.shape[1] + 4) * 2.0**-23)


class Int8Panel:
    """Right rows as the constant side of an 8-bit product on the device."""

    def __init__(self, rows: Tensor) -> None:
        right = quantize(rows, common_scale(rows))
        self.rows = rows
        self.scale = right.scale[0]
        self.rest = right.rest.max()
        self.length = self.scale * _length(right.numbers.float()).max()
        self.multiply = int8_product(right.numbers)

    def hits(self, left: LeftRows, floor: float) -> tuple[Places, Places]:
        """Row and column of every pair that may score `floor` or more; rows ascend."""
        limits = self.limits(left.quantized, floor)
        reached = self.multiply(left.quantized.numbers) >= limits[:, None]
        i, j = reached.nonzero(as_tuple=True)
        del reached
        near = _near(left.rows, self.rows, i, j, floor)
        return i[near].cpu().numpy(), j[near].cpu().numpy()

    def error(self, left: Quantized) -> Tensor:
        """E for each left row (L,), float64: no pair of it is further off."""
        return left.length * self.rest + left.rest * self.length + SLACK

    def limits(self, left: Quantized, floor: float) -> Tensor:
        """The lowest whole-number product that a pair of each left row must reach, (L,) int32."""
        lowest = torch.floor((floor - self.error(left)) / (left.scale * self.scale)) - 1
        return lowest.clamp(_INT32.min, _INT32.max).to(torch.int32)


class Int8Screen:
    """Finds pairs by 8-bit products on the device; see the top of this file."""

    keeps_left = True

    def __init__(
        self,
        device: str,
        *,
        tile_rows: int = _CPU_TILE,
        panel_rows: int = _CPU_PANEL,
        pairs_per_s: float = 0.0,
    ) -> None:
        self.name = f"int8, torch, {device_name(device)}"
        # One waits for its hits and has them scored while the other keeps the device busy.
        self.workers = 1 if device == "cpu" else 2
        self.tile_rows = tile_rows
        self.panel_rows = panel_rows
        self.pairs_per_s = pairs_per_s
        self._device = device

    def left(self, rows: Rows) -> LeftRows:
        """Rows (L, D), each with its own scale, brought to the device.

        Raises:
            EngineUnavailable: the memory of the device is full.
        """
        try:
            here = _brought(rows, self._device)
            return LeftRows(quantize(here, own_scales(here)), here)
        except torch.OutOfMemoryError as fault:
            raise EngineUnavailable(
                f"the memory of {device_name(self._device)} is full: every row of a pass is kept "
                f"there and takes {5 * rows.shape[1]} bytes; compare fewer, or search on a CPU"
            ) from fault

    def panel(self, rows: Rows) -> Int8Panel:
        """Rows (R, D) made ready as the right side."""
        return Int8Panel(_brought(rows, self._device))

    def typical_error(self, rows: Rows) -> float:
        """How far below a floor a pair of such rows may look and still be found.

        What lies deeper than the float32 bound never reaches the host, and costs nothing there.
        """
        return screen_error(rows.shape[1])


class Float32Panel:
    """Right rows as the constant side of a float32 product on the device."""

    def __init__(self, rows: Tensor, *, error: float) -> None:
        self.error = error
        self._right = rows

    def product(self, left: Tensor) -> NDArray[np.float32]:
        """All scores (L, R), each within `error` of the exact one."""
        product: NDArray[np.float32] = (left @ self._right.T).cpu().numpy()
        return product

    def hits(self, left: Tensor, floor: float) -> tuple[Places, Places]:
        """Row and column of every pair that may score `floor` or more; rows ascend."""
        limit = float(at_most_float32(floor - self.error))
        i, j = (left @ self._right.T >= limit).nonzero(as_tuple=True)
        return i.cpu().numpy(), j.cpu().numpy()


class Float32Screen:
    """Finds pairs by float32 products on the device, and gives all of them to the host."""

    workers = 1
    keeps_left = False

    def __init__(
        self,
        device: str,
        *,
        error: float,
        tile_rows: int = _CPU_TILE,
        panel_rows: int = _CPU_PANEL,
        pairs_per_s: float = 0.0,
    ) -> None:
        self.name = f"float32, torch, {device_name(device)}"
        self.error = error
        self.tile_rows = tile_rows
        self.panel_rows = panel_rows
        self.pairs_per_s = pairs_per_s
        self._device = device

    def left(self, rows: Rows) -> Tensor:
        """The rows (L, D), brought to the device."""
        return _brought(rows, self._device)

    def panel(self, rows: Rows) -> Float32Panel:
        """Rows (R, D) made ready as the right side."""
        return Float32Panel(_brought(rows, self._device), error=self.error)

    products = panel

    def typical_error(self, rows: Rows) -> float:
        """How far below a floor a pair may look and still be found."""
        return self.error


def open_screens(
    dimension: int, *, float32_error: float, device: str = "cuda"
) -> list[Int8Screen | Float32Screen]:
    """The screens that `device` can run, each tested and its speed measured.

    Sets the precision of float32 products of this process to torch's "highest".

    Args:
        dimension: D.
        float32_error: How far a float32 product of two rows may be from the exact score.
        device: "cuda", "cuda:1" and so on, or "cpu".

    Raises:
        BadInput: `device` is of another form.
        EngineUnavailable: there is no such GPU, or its float32 product breaks its bound.
    """
    _check_device(device)
    torch.set_float32_matmul_precision("highest")
    tile, panel = (_CPU_TILE, _CPU_PANEL) if device == "cpu" else _gpu_blocks(device)
    fine = Float32Screen(
        device, error=float32_error, tile_rows=tile, panel_rows=min(panel, _GPU_PRODUCT_PANEL)
    )
    _check_float32(fine, dimension)
    fine.pairs_per_s = measured_speed(fine, dimension)
    if not multiplies_exactly(dimension, device):
        return [fine]
    coarse = Int8Screen(device, tile_rows=tile, panel_rows=panel)
    coarse.pairs_per_s = measured_speed(coarse, dimension)
    return [coarse, fine]


def multiplies_exactly(dimension: int, device: str) -> bool:
    """Whether 8-bit products of extreme rows are exact on the device."""

    def product(
        right: NDArray[np.int8], *, zero: int
    ) -> Callable[[NDArray[np.uint8]], NDArray[np.int32]]:
        multiply = int8_product(torch.tensor(right, device=device))

        def from_unsigned(left: NDArray[np.uint8]) -> NDArray[np.int32]:
            numbers = (left.astype(np.int16) - zero).astype(np.int8)
            sums: NDArray[np.int32] = multiply(torch.tensor(numbers, device=device)).cpu().numpy()
            return sums

        return from_unsigned

    return safe_levels(dimension, product) == LEVELS


def measured_speed(screen: Int8Screen | Float32Screen, dimension: int) -> float:
    """Pairs per second: of the search, and of the product where it is there to be counted."""
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((screen.tile_rows, dimension), dtype=np.float32)
    rows /= np.sqrt(np.einsum("nd,nd->n", rows, rows))[:, None]
    many = np.tile(rows, (-(-screen.panel_rows // len(rows)), 1))[: screen.panel_rows]
    if isinstance(screen, Int8Screen):
        coarse, left = screen.panel(many), screen.left(rows)
        return _per_second(lambda: coarse.hits(left, 2.0), len(rows) * len(many))
    fine, here = screen.products(many), screen.left(rows)
    return _per_second(lambda: fine.product(here), len(rows) * len(many))


def _per_second(search: Callable[[], object], pairs: int) -> float:
    search()
    done, start_s = 0, time.perf_counter()
    while time.perf_counter() - start_s < MEASURE_S:
        search()
        done += pairs
    return done / (time.perf_counter() - start_s)


def int8_product(right: Tensor) -> Callable[[Tensor], Tensor]:
    """left (L, D) int8 -> left @ right.T (L, R) int32, exact; `right` (R, D) int8."""
    columns, dimension = right.shape
    padded = _padded(right, _ceil(columns, _MULTIPLE), _ceil(dimension, _MULTIPLE))

    def multiply(left: Tensor) -> Tensor:
        rows = max(_FEWEST, _ceil(len(left), _MULTIPLE))
        product: Tensor = torch._int_mm(_padded(left, rows, padded.shape[1]), padded.T)
        return product[: len(left), :columns]

    return multiply


def _padded(numbers: Tensor, rows: int, columns: int) -> Tensor:
    """The same with zeros below and to the right: they add nothing to a product."""
    if numbers.shape == (rows, columns):
        return numbers
    below, right = rows - numbers.shape[0], columns - numbers.shape[1]
    return torch.nn.functional.pad(numbers, (0, right, 0, below))


def _near(left: Tensor, right: Tensor, i: Tensor, j: Tensor, floor: float) -> Tensor:
    """Which pairs (i, j) of rows may score `floor` or more, by the bound of a float32 sum."""
    limit = float(at_most_float32(floor - screen_error(left.shape[1])))
    parts = [torch.empty(0, dtype=torch.bool, device=left.device)]
    for top in range(0, len(i), _NEAR_AT_ONCE):
        part = slice(top, top + _NEAR_AT_ONCE)
        parts.append((left[i[part]] * right[j[part]]).sum(dim=1) >= limit)
    return torch.cat(parts)


def _brought(rows: Rows, device: str) -> Tensor:
    return torch.tensor(rows, dtype=torch.float32, device=device)


def _ceil(number: int, multiple: int) -> int:
    return -(-number // multiple) * multiple


def _gpu_blocks(device: str) -> tuple[int, int]:
    """Rows of a tile and of a panel whose product takes a share of the free memory."""
    free, _ = torch.cuda.mem_get_info(device)
    columns = free // _SHARE_OF_FREE // (_TILE_BYTES * _GPU_TILE)
    return _GPU_TILE, max(1024, min(_GPU_PANEL, columns // 1024 * 1024))


def device_name(device: str) -> str:
    """What a Report says of a device."""
    return "CPU" if device == "cpu" else str(torch.cuda.get_device_name(device))


def _check_device(device: str) -> None:
    if not re.fullmatch(r"cpu|cuda(:\d+)?", device):
        raise BadInput(f'a device is "cpu", "cuda" or "cuda:1"; got {device!r}')
    if device == "cpu":
        return
    found = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if int(device.partition(":")[2] or 0) >= found:
        raise EngineUnavailable(
            f"device {device} was asked for, and torch {torch.__version__} finds {found} GPUs "
            'here; ask for "cpu", or install a torch that fits the driver'
        )


def _check_float32(screen: Float32Screen, dimension: int) -> None:
    """Refuse products with fewer bits than float32 has: TF32 is off by 2^-10 here."""
    rows = np.zeros((_FEWEST, dimension), np.float32)
    rows[:, 0] = 1 + 0.99 * 2.0**-11
    exact = float(rows[0, 0]) ** 2
    product = screen.products(rows).product(screen.left(rows))
    if not np.abs(product - exact).max() <= 2.0**-20:
        raise EngineUnavailable(
            f"float32 products of {screen.name} are off by {np.abs(product - exact).max():.2g}, "
            "as TF32 is; switch reduced precision off, or search on a CPU"
        )
