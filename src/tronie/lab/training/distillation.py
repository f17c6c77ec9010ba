"""A recognizer taught by another: what the teacher adds to the student's loss.

    margin_weight * head            the student's own loss against its class centers
    + angular * angular             both embeddings at length 1, squared distance
    + l2      * features            both as they are
    + kl      * classes             T^2 KL(p || q) over the teacher's classes, softened by T
    copy_centers                    the head's centers are the teacher's, and stay

For the classes the logits are s times the cosines to the teacher's centers, of the teacher's and of
the student's embedding, s being the scale of the teacher's margin. Each process then has all of
the teacher's centers, which many millions of classes do not allow.

The teacher is a run of tronie, in evaluation, without gradient and without optimizer; or an ONNX
file of anybody's (`FileTeacher`), which is run as `tronie embed` runs it, on the CPU.

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
from tronie.lab.training.loaders import SIDE
from tronie.lab.training.recipe import Teacher
from tronie.runtime.embedder import Embedder
from tronie.runtime.session import EngineOptions
from tronie.runtime.zoo import find, open_model


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
    assumed: tuple[str, ...] = ()
    """What of its file was stated nowhere, one sentence each."""

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
    if not asked.is_heard:
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


class FileTeacher(nn.Module):
    """A network in an ONNX file, as a module: pictures in [-1, 1] to embeddings, no gradient."""

    def __init__(self, embedder: Embedder) -> None:
        super().__init__()
        self._embedder = embedder

    def forward(self, images: Tensor) -> Tensor:
        """(N, 3, 112, 112), back to the whole numbers they were, to (N, D)."""
        pixels = (images * 127.5 + 127.5).round().to(torch.uint8).permute(0, 2, 3, 1)
        rows = self._embedder.embed(pixels.contiguous().cpu().numpy())
        return torch.from_numpy(rows).to(images.device)


def teaching_of_file(asked: Teacher, *, student_size: int, threads: int) -> Teaching:
    """The teacher of a model file, ready.

    Raises:
        NotFound: there is no such file.
        BadModel: it is no embedder.
        BadInput: it takes other crops or gives other embeddings than the student.
    """
    file = find(asked.model)
    session, contract = open_model(file, EngineOptions(threads=threads), kind="embedder")
    embedder = Embedder(session, contract)
    if (contract.width, contract.height) != (SIDE, SIDE):
        raise BadInput(
            f"the teacher {file.name} takes crops of {contract.width} x {contract.height}; "
            f"students are trained on {SIDE} x {SIDE}. Choose another teacher.model"
        )
    check_teacher(
        asked, student_size=student_size, teacher_size=embedder.dimension, same_classes=False
    )
    return Teaching(settings=asked, network=FileTeacher(embedder), assumed=contract.assumed)


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
