"""All pairs the slow way: every score in plain Python order, every pair sorted.

score(a, b)                     the definition, by recursion on Python floats
every_pair(unit, people, ...)   genuine and impostor pairs as [(score, i, j)]
judged(impostor, far)           (threshold, false matches) by sorting
hard_sets()                     named matrices made to break a screen
"""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import combinations

import numpy as np

from tronie.geometry.hypersphere import normalize


def score(a, b) -> float:
    def folded(numbers):
        if len(numbers) == 1:
            return numbers[0]
        half = 1
        while 2 * half < len(numbers):
            half *= 2
        lower = numbers[:half]
        for k, value in enumerate(numbers[half:]):
            lower[k] += value
        return folded(lower)

    return folded([float(x) * float(y) for x, y in zip(a, b, strict=True)])


def every_pair(unit, people, *, group=None, against=None, left_out=()):
    gone = {frozenset(pair) for pair in left_out}
    inside = np.ones(len(unit), bool) if group is None else group
    genuine, impostor = [], []
    for i, j in combinations(range(len(unit)), 2):
        if against is None:
            meet = inside[i] and inside[j]
        else:
            meet = (inside[i] and against[j]) or (inside[j] and against[i])
        if not meet or frozenset((i, j)) in gone or people[i] == people[j] == -1:
            continue
        kind = genuine if people[i] == people[j] else impostor
        kind.append((score(unit[i], unit[j]), i, j))
    return genuine, impostor


def judged(impostor, far):
    scores = sorted((s for s, _, _ in impostor), reverse=True)
    allowed = math.floor(Fraction(str(far)) * len(scores))
    threshold = math.nextafter(scores[allowed], math.inf)
    return threshold, sum(s >= threshold for s in scores)


def hard_sets(seed: int = 0):
    """Name to (unit rows, people)."""
    rng = np.random.default_rng(seed)
    sets = {}
    rows = rng.normal(size=(90, 40))
    sets["random"] = rows, np.repeat(np.arange(30), 3)
    centers = rng.normal(size=(4, 40))
    rows = centers[np.arange(90) % 4] + 0.05 * rng.normal(size=(90, 40))
    sets["clustered across people"] = rows, np.repeat(np.arange(30), 3)
    sets["a few rows, copied"] = centers[rng.integers(4, size=90)], np.repeat(np.arange(30), 3)
    sets["all one row"] = np.ones((60, 33)), np.repeat(np.arange(20), 3)
    rows = np.ones((80, 64)) + 1e-7 * rng.normal(size=(80, 64))
    sets["an ulp apart"] = rows, np.repeat(np.arange(40), 2)
    # One number carries all: the scale is coarse, and every other number is lost in rounding.
    rows = np.concatenate([np.ones((90, 1)), 0.0039 * rng.choice([-1, 1], (90, 99))], axis=1)
    sets["lost by quantization"] = rows, np.repeat(np.arange(45), 2)
    # Half a step from the grid everywhere, with one large number to set the step.
    steps = rng.integers(-3, 3, (90, 60)) + 0.5
    steps[np.arange(90), rng.integers(60, size=90)] = 127
    sets["half a step off"] = steps, np.repeat(np.arange(45), 2)
    sets["opposite"] = (
        np.repeat([[1.0, 2.0, 3.0]], 40, 0) * rng.choice([-1, 1], (40, 1)),
        (np.repeat(np.arange(20), 2)),
    )
    people = np.repeat(np.arange(30), 3)
    people[40:70] = -1
    sets["distractors"] = rng.normal(size=(90, 17)), people
    return {name: (normalize(np.asarray(rows))[0], people) for name, (rows, people) in sets.items()}
