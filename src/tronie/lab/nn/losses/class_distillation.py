r"""Distillation by features and by class probabilities: L2 and KL with a temperature.

    feature_distillation    mean over rows of |t - s|^2
    class_distillation      T^2 * mean over rows of sum_j p_j (ln p_j - ln q_j)
    p, q                    softmax of the teacher's and the student's logits, each over T

t and s are embeddings of teacher and student as the networks give them, or brought to length 1.
The temperature T above 1 shows the student the small probabilities too; T^2 keeps the size of
the gradient, which is T (q - p) / N by the student's logits.

Source: Hinton et al., "Distilling the Knowledge in a Neural Network", arXiv:1503.02531, section 2;
the L2 of features as the winners of the 2019 Lightweight Face Recognition challenge used it.
Differs from the paper: the KL divergence instead of the cross-entropy with soft targets; they
differ by the teacher's entropy, which has no gradient, and the divergence ends at 0. The winners
do not say which embeddings L2 compares; "raw" keeps their lengths, which tell the quality.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import log_softmax, normalize

from tronie.errors import BadArray, BadInput
from tronie.lab.nn.angles import widened


def feature_distillation(
    student: Tensor, teacher: Tensor, *, lengths: Literal["raw", "unit"] = "raw"
) -> Tensor:
    """Mean squared distance of embeddings, a scalar, 0 or more.

    Args:
        student: (N, D).
        teacher: (N, D) of the same photographs; no gradient flows to it.
        lengths: Whether embeddings are compared as they are or at length 1.

    Raises:
        BadArray: the shapes differ.
        BadInput: `lengths` is neither "raw" nor "unit".
    """
    _check(student, teacher, "embeddings")
    if lengths not in ("raw", "unit"):
        raise BadInput(f"lengths must be 'raw' or 'unit'; got {lengths!r}")
    s, t = widened(student), widened(teacher.detach())
    if lengths == "unit":
        s, t = normalize(s, dim=1), normalize(t, dim=1)
    return torch.square(t - s).sum(dim=1).mean()


def class_distillation(student: Tensor, teacher: Tensor, *, temperature: float = 1.0) -> Tensor:
    """T^2 times the mean KL divergence of the student from its teacher, a scalar, 0 or more.

    Args:
        student: (N, C) logits, over all classes or over the same choice of them.
        teacher: (N, C) logits of the same photographs and classes; no gradient flows to it.
        temperature: T, above 0.

    Raises:
        BadArray: the shapes differ.
        BadInput: the temperature is not above 0 and finite.
    """
    _check(student, teacher, "logits")
    if not 0 < temperature < math.inf:
        raise BadInput(f"the temperature must be above 0 and finite; got {temperature:g}")
    log_p = log_softmax(widened(teacher.detach()) / temperature, dim=1)
    log_q = log_softmax(widened(student) / temperature, dim=1)
    return temperature**2 * (log_p.exp() * (log_p - log_q)).sum(dim=1).mean()


def _check(student: Tensor, teacher: Tensor, kind: str) -> None:
    if student.shape != teacher.shape or student.ndim != 2:
        raise BadArray(
            f"the {kind} of student and teacher must have one shape of two dimensions; got "
            f"{tuple(student.shape)} and {tuple(teacher.shape)}"
        )
