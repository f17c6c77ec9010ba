"""What a model does when it is asked: a crop alone, in a batch, mirrored, and changed a little.

All is measured against two lengths, so that it holds for embeddings of any scale:

    spread      mean distance between embeddings of different crops
    rounding    ROUNDING times their mean length: what the order of additions may change

    same        a distance of at most SAME x spread, or rounding
    alone, order, neighbors, repeat    the embedding of a crop is the same by itself, elsewhere in
                the batch, among other crops, and the second time
    mirror      the embedding of a mirrored crop is another one. Where it is the same, or holds the
                same numbers in another order, the network looks at both sides itself
                A copy of less weight escapes this; the rules of the graph look for it
    noise       a change of one level in each pixel moves an embedding by less than NEAR x spread;
                one that jumps comes out of a table
    range       black, white, gray and noise give finite embeddings

Letters: M crops, D numbers in an embedding.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tronie.runtime.contract import Contract
from tronie.runtime.pixels import network_input
from tronie.server.challenge.checks import Check

BATCH = 32
"""Crops of the batch that is looked at, as in `onnx_helper.py`."""
FEW = 4
"""Crops of it that are asked for one by one."""
SAME = 0.01
ROUNDING = 2e-5
NEAR = 0.5
LEAST_SPREAD = 1e-4
"""Of the mean length of embeddings; below, they are all the same."""
INPUT = Contract(kind="embedder", format="embedding")
"""RGB crops of 112 x 112, (value - 127.5) / 127.5."""
SEED = 2021

Run = Callable[[NDArray[np.float32]], list[NDArray[Any]]]
"""float32 (N, 3, 112, 112) to the outputs of a model."""
Rows = NDArray[np.float32]


class Broken(Exception):
    """A model that did not answer with embeddings; `check` says how."""

    def __init__(self, check: Check) -> None:
        super().__init__(check.reason)
        self.check = check


class _Scale(NamedTuple):
    """Lengths to measure by."""

    length: float
    spread: float

    @property
    def same(self) -> float:
        """The largest distance between embeddings that are the same."""
        return max(SAME * self.spread, ROUNDING * self.length)


def probe(run: Run, crops: NDArray[np.uint8], *, dimension: int) -> list[Check]:
    """Hold a model to the rules of what it does; the first that stops the others ends it.

    Args:
        run: The model; what it raises passes through.
        crops: (M, 112, 112, 3) uint8 RGB, at least two of them different; the first BATCH are
            used, and are repeated where there are fewer.
        dimension: D.
    """
    crops = crops[np.arange(BATCH) % len(crops)]
    distinct = sorted({crop.tobytes(): n for n, crop in enumerate(crops)}.values())
    checks: list[Check] = []
    try:
        rows = embeddings(run, crops, dimension=dimension)
        checks.append(_kept("behavior.shape", f"{BATCH} crops give ({BATCH}, {dimension})"))
        checks.append(_kept("behavior.finite", f"embeddings of {BATCH} crops are finite"))
        scale = _scale_of(rows[distinct])
        checks.append(_not_constant(rows[distinct], scale))
        asked = _Asked(run, crops, rows, scale, dimension)
        if checks[-1].passed:
            checks.append(_range(asked))
        if checks[-1].passed:
            checks += [ask(asked) for ask in _PROBES]
    except Broken as broken:
        checks = [check for check in checks if check.rule != broken.check.rule]
        checks.append(broken.check)
    return checks


def embeddings(run: Run, crops: NDArray[np.uint8], *, dimension: int) -> Rows:
    """Embeddings (M, D) of crops (M, 112, 112, 3).

    Raises:
        Broken: another shape or type, NaN or infinity, or rows of zeros.
    """
    answers = run(network_input(crops, INPUT))
    shape = answers[0].shape if len(answers) == 1 else ()
    wanted = (len(crops), dimension)
    if shape != wanted or answers[0].dtype != np.float32:
        found = f"{answers[0].dtype} of shape {shape}" if answers else "nothing"
        sentence = f"{len(crops)} crops must give float32 of shape {wanted}; they gave {found}"
        raise Broken(Check(rule="behavior.shape", passed=False, reason=sentence))
    rows: Rows = answers[0]
    bad = int((~np.isfinite(rows)).any(axis=1).sum())
    if bad:
        sentence = (
            f"{bad} of {len(crops)} crops gave NaN or infinity; every crop must have an embedding"
        )
        raise Broken(Check(rule="behavior.finite", passed=False, measured=bad, reason=sentence))
    none = int((~rows.any(axis=1)).sum())
    if none:
        sentence = (
            f"{none} of {len(crops)} crops gave an embedding of zeros, which has no direction to "
            "compare; do not end with an activation that can be 0 everywhere"
        )
        raise Broken(Check(rule="behavior.zero", passed=False, measured=none, reason=sentence))
    return rows


class _Asked(NamedTuple):
    """A model, the crops, and what it said of them in one batch."""

    run: Run
    crops: NDArray[np.uint8]
    rows: Rows
    scale: _Scale
    dimension: int

    def of(self, crops: NDArray[np.uint8]) -> Rows:
        """Embeddings of other crops."""
        return embeddings(self.run, crops, dimension=self.dimension)


def _scale_of(rows: Rows) -> _Scale:
    wide = rows.astype(np.float64)
    length = float(np.linalg.norm(wide, axis=1).mean())
    spread = float(np.mean([d for d in _distances_between(wide)]))
    return _Scale(length, spread)


def _distances_between(rows: NDArray[np.float64]) -> Iterator[float]:
    """Of each row to the next, the one after it, ...: all pairs."""
    for n in range(1, len(rows)):
        yield from np.linalg.norm(rows[n:] - rows[:-n], axis=1).tolist()


def _moved(first: Rows, second: Rows) -> NDArray[np.float64]:
    """Distances between rows."""
    apart: NDArray[np.float64] = np.linalg.norm(
        first.astype(np.float64) - second.astype(np.float64), axis=1
    )
    return apart


def _not_constant(rows: Rows, scale: _Scale) -> Check:
    nearest = min(_distances_between(rows.astype(np.float64)))
    if scale.spread <= LEAST_SPREAD * scale.length:
        sentence = (
            "embeddings of different crops are all the same, within "
            f"{LEAST_SPREAD:g} of their length; the output must depend on the crop"
        )
    elif nearest <= ROUNDING * scale.length:
        sentence = "two different crops have the same embedding; the output must depend on the crop"
    else:
        return _kept("behavior.constant", "different crops have different embeddings")
    return Check(rule="behavior.constant", passed=False, measured=scale.spread, reason=sentence)


def _same(rule: str, asked: _Asked, moved: NDArray[np.float64], *, what: str) -> Check:
    """Whether embeddings stayed where they were."""
    worst, most = float(moved.max()), asked.scale.same
    law = "the embedding of a crop may depend on nothing but the crop"
    return Check(
        rule=rule,
        passed=worst <= most,
        measured=worst,
        limit=most,
        reason=f"{what}, embeddings are the same"
        if worst <= most
        else f"{what}, an embedding moves by {worst:.3g}, where {most:.3g} is rounding; {law}",
    )


def _alone(asked: _Asked) -> Check:
    """Each of a few crops in a batch of one."""
    rows = np.concatenate([asked.of(asked.crops[n : n + 1]) for n in range(FEW)])
    return _same("behavior.alone", asked, _moved(rows, asked.rows[:FEW]), what="alone in a batch")


def _order(asked: _Asked) -> Check:
    """All crops in another order, in one batch."""
    order = np.random.default_rng(SEED).permutation(BATCH)
    rows = asked.of(asked.crops[order])
    return _same("behavior.order", asked, _moved(rows, asked.rows[order]), what="in another order")


def _neighbors(asked: _Asked) -> Check:
    """A few crops with black, white and noise behind and before them."""
    others = np.concatenate([_extremes(), asked.crops[-FEW:, ::-1]])
    rows = asked.of(np.concatenate([others[:3], asked.crops[:FEW], others[3:]]))
    return _same(
        "behavior.neighbors",
        asked,
        _moved(rows[3 : 3 + FEW], asked.rows[:FEW]),
        what="beside other pictures",
    )


def _repeat(asked: _Asked) -> Check:
    """The same batch once more."""
    moved = _moved(asked.of(asked.crops), asked.rows)
    return _same("behavior.repeat", asked, moved, what="asked a second time")


def _mirror(asked: _Asked) -> Check:
    """Mirrored crops: other embeddings, and not the same numbers in another order."""
    half = BATCH // 2
    rows, mirrored = asked.rows[:half], asked.of(asked.crops[:half, :, ::-1])
    sides = float(np.median(_moved(rows, mirrored)))
    swapped = float(np.median(_moved(np.sort(rows, axis=1), np.sort(mirrored, axis=1))))
    sorted_scale = _scale_of(np.sort(rows, axis=1))
    if sides <= asked.scale.same:
        fault = "a mirrored crop has the same embedding as the crop"
    elif asked.dimension > 1 and swapped <= sorted_scale.same:
        fault = "a mirrored crop has the same numbers as the crop, in another order"
    else:
        return _kept("behavior.mirror", "a mirrored crop has another embedding")
    sentence = (
        f"{fault}: the graph looks at both sides of it. Test-time augmentation inside the graph is "
        "not allowed; send the network alone"
    )
    return Check(
        rule="behavior.mirror",
        passed=False,
        measured=sides,
        limit=asked.scale.same,
        reason=sentence,
    )


def _noise(asked: _Asked) -> Check:
    """One level up or down in every pixel."""
    half = BATCH // 2
    steps = np.random.default_rng(SEED).integers(-1, 2, asked.crops[:half].shape)
    noisy = np.clip(asked.crops[:half].astype(np.int64) + steps, 0, 255).astype(np.uint8)
    return _near("behavior.noise", asked, noisy, what="noise of one level in its pixels")


def _one_pixel(asked: _Asked) -> Check:
    """One level in one color of one pixel in the middle."""
    changed = asked.crops[: BATCH // 2].copy()
    middle = changed[:, 56, 56, 1]
    changed[:, 56, 56, 1] = np.where(middle < 255, middle + 1, 254)
    return _near("behavior.one_pixel", asked, changed, what="one level in one of its pixels")


def _near(rule: str, asked: _Asked, changed: NDArray[np.uint8], *, what: str) -> Check:
    share = _moved(asked.of(changed), asked.rows[: len(changed)]) / asked.scale.spread
    worst = float(share.max())
    fine = worst < NEAR
    told = f"{what} moves an embedding by at most {worst:.3g} of the distance between crops"
    return Check(
        rule=rule,
        passed=fine,
        measured=worst,
        limit=NEAR,
        reason=told
        if fine
        else f"{told}; below {NEAR:g} was expected. An embedding that jumps is "
        "looked up, not computed",
    )


def _range(asked: _Asked) -> Check:
    """Pictures at the ends of the range."""
    try:
        asked.of(_extremes())
    except Broken as broken:
        words = f"black, white, gray and noise must have embeddings too; {broken}"
        return Check(rule="behavior.range", passed=False, reason=words)
    return _kept("behavior.range", "black, white, gray and noise have finite embeddings")


_PROBES = (_alone, _order, _neighbors, _repeat, _mirror, _noise, _one_pixel)


def _extremes() -> NDArray[np.uint8]:
    side = INPUT.height
    flat = [np.full((side, side, 3), value, np.uint8) for value in (0, 255, 128)]
    noise = np.random.default_rng(SEED).integers(0, 256, (side, side, 3)).astype(np.uint8)
    return np.stack([*flat, noise])


def _kept(rule: str, reason: str) -> Check:
    return Check(rule=rule, passed=True, reason=reason)
