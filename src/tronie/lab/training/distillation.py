"""A recognizer taught by another: what the teacher adds to the student's loss.

    margin_weight * head            the student's own loss against its class centers
    + angular * angular             both embeddings at length 1, squared distance
    + l2      * features            both as they are
    + kl      * classes             T^2 KL(p || q) over the teacher's classes, softened by T
    copy_centers                    the head's centers are the teacher's, and stay

For the classes the logits are s times the cosines to the teacher's centers, of the teacher's and of
the student's embedding, s being the scale of the teacher's margin. Each process then has all of
the teacher's centers, which many millions of classes do not allow.

The teacher is a run of tronie; it is in evaluation, and has no gradient and no optimizer.

Sources: `tronie.lab.nn.losses.angular_distillation` and `class_distillation`; the copied centers
are those of the winners of the 2019 Lightweight Face Recognition challenge's light track.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from tronie.errors import BadInput
from tronie.lab.nn.collectives import all_sum, gather_rows, world_size
from tronie.lab.nn.losses.angular_distillation import angular_distillation
from tronie.lab.nn.losses.class_distillation import class_distillation, feature_distillation
from tronie.lab.training.recipe import Teacher


@dataclass(frozen=True, eq=False, kw_only=True)
class Teaching:
    """A teacher at work; see the head of this file."""

    settings: Teacher
    network: nn.Module
    centers: Mapping[str, Any] | None = None
    """This process's part of the centers to be copied, as a head takes it."""
    classes: Tensor | None = None
    """(C, D) at length 1: all of the teacher's centers, where the divergence needs them."""
    scale: float = 64.0
    """Of the teacher's logits."""

    @property
    def margin_weight(self) -> float:
        """Of the student's own loss."""
        return self.settings.margin_weight

    def loss(self, images: Tensor, student: Tensor) -> Tensor:
        """What the teacher adds, as a mean over the rows of all processes.

        Args:
            images: This process's, as both networks take them, (b, 3, 112, 112).
            student: The student's embeddings of them, (b, D).
        """
        asked = self.settings
        with torch.no_grad():
            teacher = self.network(images).float()
        added = student.new_zeros(())
        with torch.autocast(student.device.type, enabled=False):
            if asked.angular:
                added = added + asked.angular * angular_distillation(student, teacher)
            if asked.l2:
                added = added + asked.l2 * feature_distillation(student, teacher)
            if asked.kl:
                assert self.classes is not None
                both = [
                    self.scale * normalize(rows, dim=1) @ self.classes.T
                    for rows in (student, teacher)
                ]
                added = added + asked.kl * class_distillation(
                    both[0], both[1], temperature=asked.temperature
                )
        return _mean_of_all(added, len(student))


def check_teacher(
    asked: Teacher,
    *,
    student_size: int,
    teacher_size: int,
    same_classes: bool,
) -> None:
    """See that a student can learn what it is asked to.

    Raises:
        BadInput: nothing is to be learned, or sizes or classes differ where they must not.
    """
    if not (asked.angular or asked.l2 or asked.kl or asked.copy_centers):
        raise BadInput(
            "a teacher is named but nothing is learned from it; set one of teacher.angular, "
            "teacher.l2, teacher.kl and teacher.copy_centers"
        )
    if student_size != teacher_size:
        raise BadInput(
            f"student and teacher must have embeddings of one size; got {student_size} and "
            f"{teacher_size}. Set embedding_size={teacher_size}"
        )
    if (asked.kl or asked.copy_centers) and not same_classes:
        raise BadInput(
            "teacher.kl and teacher.copy_centers need the teacher's classes: the data must be "
            "those it was trained on"
        )


def all_centers(head: Any) -> Tensor:
    """The class centers of all processes as they are now, (C, D) at length 1."""
    with torch.no_grad():
        return normalize(gather_rows(cast(Tensor, head.centers.take())), dim=1)


def _mean_of_all(own: Tensor, rows: int) -> Tensor:
    """A mean over this process's rows as one over the rows of all.

    Data-parallel training averages gradients over the processes, so that their number goes into
    the gradient, as it does in `tronie.lab.nn.sharded_softmax`.
    """
    ranks = world_size()
    if ranks == 1:
        return own
    counts = all_sum(own.new_tensor([float(rows)]))
    part = own * rows / counts[0]
    return all_sum(part) + (part - part.detach()) * ranks
