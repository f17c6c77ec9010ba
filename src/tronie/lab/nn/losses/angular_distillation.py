r"""Angular distillation: a student's embedding turned towards its teacher's.

    equation 4      mean over rows of (1 - cos(theta))^2
    equation 5      mean over rows of |t / |t| - s / |s||^2  =  2 (1 - cos(theta))

theta is the angle between the teacher's embedding t and the student's s, in radians; lengths do
not matter. Equation 5 is what the paper trains with: the gradient of equation 4 carries another
factor of 1 - cos(theta) and vanishes early.

Source: Yan et al., "VarGFaceNet", ICCV Workshops 2019, arXiv:1910.04985, equations 4 and 5. There
the loss is ArcFace + 7 times equation 5; the weight is a matter of the recipe.
Differs from the paper: nothing. 1 - cos(theta) is computed from the difference of the unit
vectors, so that it keeps its bits as the two agree.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import normalize

from tronie.errors import BadArray, BadInput
from tronie.lab.nn.angles import widened


def angular_distillation(
    student: Tensor, teacher: Tensor, *, equation: Literal[4, 5] = 5
) -> Tensor:
    """How far the student points from its teacher, a scalar: 0 to 4.

    Args:
        student: (N, D) embeddings of any length.
        teacher: (N, D) of the same photographs; no gradient flows to it.
        equation: Which of the paper's.

    Raises:
        BadArray: the shapes differ.
        BadInput: `equation` is neither 4 nor 5.
    """
    if student.shape != teacher.shape or student.ndim != 2:
        raise BadArray(
            "student and teacher must be embeddings of one shape (N, D); got "
            f"{tuple(student.shape)} and {tuple(teacher.shape)}"
        )
    if equation not in (4, 5):
        raise BadInput(f"equation must be 4 or 5, as the paper counts them; got {equation}")
    towards = normalize(widened(teacher.detach()), dim=1)
    chord = torch.square(towards - normalize(widened(student), dim=1)).sum(dim=1)
    return chord.mean() if equation == 5 else torch.square(chord / 2).mean()
