"""The rules of a feature matrix: its form, its size, and numbers that can be compared.

Read through the memory map, some thousand rows at a time; every row is looked at.

Letters: N rows, D numbers in each.
Source: submission guide of LFR19. Its own script left rows of zeros where pictures were missing;
such rows have no direction, and are refused here.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tronie.data.readers.features import Features, open_features
from tronie.errors import BadInput
from tronie.server.challenge.checks import Check
from tronie.server.challenge.track import Track

ROWS_AT_ONCE = 8192
LEAST_LENGTH, MOST_LENGTH = 1e-12, 1e12
"""Between which a row's length is that of an embedding, and not an accident."""


def matrix_checks(path: Path, track: Track, *, dimension: int | None) -> list[Check]:
    """Hold a matrix to its track; the first broken rule ends it.

    Args:
        path: Of the matrix; it is mapped, never loaded.
        track: `rows` and `limits.dimension` are asked for.
        dimension: Of the model that is said to have made it; None where that is not known.
    """
    try:
        features = open_features(path)
    except BadInput as fault:
        words = str(fault).replace(str(path), "the feature matrix")
        return [Check(rule="features.form", passed=False, reason=words)]
    checks = [
        Check(
            rule="features.form",
            passed=True,
            reason=f"the feature matrix is float32 of shape {features.shape}",
        ),
        _rows(features, track.rows),
        _dimension(features, track.limits.dimension, dimension),
    ]
    if all(check.passed for check in checks):
        checks += _numbers(features)
    return checks


def _rows(features: Features, asked: int | None) -> Check:
    found = len(features)
    passed = found == asked if asked else found >= 2
    wanted = f"exactly {asked}" if asked else "at least 2"
    return Check(
        rule="features.rows",
        passed=passed,
        measured=found,
        limit=asked,
        unit="rows",
        reason=f"the feature matrix must have {wanted} rows, one for each line of the track's "
        f"list; it has {found}",
    )


def _dimension(features: Features, most: int, of_model: int | None) -> Check:
    found = features.shape[1]
    agrees = of_model is None or found == of_model
    also = "" if of_model is None else f", as many as the model gives ({of_model})"
    return Check(
        rule="features.dimension",
        passed=found <= most and agrees,
        measured=found,
        limit=most,
        unit="numbers",
        reason=f"a row of the feature matrix must have at most {most} numbers{also}; it has "
        f"{found}",
    )


def _numbers(features: Features) -> list[Check]:
    """Finite, none of zeros, none beyond all measure, not all the same."""
    strange = zeros = extreme = -1
    differs = False
    for top in range(0, len(features), ROWS_AT_ONCE):
        block = features[top : top + ROWS_AT_ONCE]
        finite = np.isfinite(block).all(axis=1)
        lengths = np.sqrt(np.square(np.where(np.isfinite(block), block, 0), dtype=float).sum(1))
        none = finite & (lengths == 0)
        odd = finite & ~none & ((lengths < LEAST_LENGTH) | (lengths > MOST_LENGTH))
        if strange < 0 and not finite.all():
            strange = top + int(finite.argmin())
        if zeros < 0 and none.any():
            zeros = top + int(none.argmax())
        if extreme < 0 and odd.any():
            extreme = top + int(odd.argmax())
        differs = differs or bool((block != features[0]).any())
    return [
        _row_check("features.finite", strange, "holds NaN or infinity", "is finite"),
        _row_check("features.zero_rows", zeros, "is all zeros, without direction", "has a length"),
        _row_check(
            "features.length",
            extreme,
            f"is shorter than {LEAST_LENGTH:g} or longer than {MOST_LENGTH:g}",
            "has a length that can be compared",
        ),
        Check(
            rule="features.constant",
            passed=differs,
            reason="rows of the feature matrix differ"
            if differs
            else "every row of the feature matrix is the same; embed each picture of the list",
        ),
    ]


def _row_check(rule: str, row: int, fault: str, good: str) -> Check:
    if row < 0:
        return Check(rule=rule, passed=True, reason=f"every row of the feature matrix {good}")
    return Check(
        rule=rule,
        passed=False,
        measured=row,
        unit="row",
        reason=f"row {row} of the feature matrix {fault}; embed that picture again",
    )
