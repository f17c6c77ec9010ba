"""What a head needs in memory, before its first step: bytes on one rank.

    centers     n W                the class centers
    state       n W, and 8 n       their momenta, and when each was last touched
    sampled     2 K W              the rows taken and their gradient; K W where all n are taken
    logits      4 B columns        cosines, logits, and two as large while they are differentiated
    gathered    6 B D, and 8 B     embeddings of all ranks and labels; their gradients

Numbers are float32. Left out is what a margin makes on its way: most make one or two more of the
size of the logits.

Letters: n classes here, W numbers for each, K taken, B rows of all ranks, D numbers in each.
"""

from __future__ import annotations

_FLOAT = 4
_COUNT = 8


def memory_plan(
    *, classes: int, width: int, taken: int | None, columns: int, rows: int, dimension: int
) -> dict[str, int]:
    """Bytes by what they are for; their sum is what a step needs at most.

    Args:
        classes: n, on this rank.
        width: W, numbers for each class.
        taken: K, None where all take part.
        columns: Columns of the matrix of cosines.
        rows: B, of all ranks.
        dimension: D.

    Example:
        >>> plan = memory_plan(
        ...     classes=125_000, width=512, taken=None, columns=125_000, rows=512, dimension=512
        ... )
        >>> plan["centers"], plan["logits"] // 4
        (256000000, 256000000)
    """
    return {
        "centers": _FLOAT * classes * width,
        "state": _FLOAT * classes * width + _COUNT * classes,
        "sampled": _FLOAT * width * (classes if taken is None else 2 * taken),
        "logits": 4 * _FLOAT * rows * columns,
        "gathered": rows * (6 * _FLOAT * dimension + _COUNT),
    }
