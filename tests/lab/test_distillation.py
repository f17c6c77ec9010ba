"""What a teacher adds: nothing where the student agrees, the formulas where not, refusals."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

from tronie.errors import BadInput

torch = pytest.importorskip("torch")

from toy_training import tiny_backbone, toy_recipe  # noqa: E402 - only where torch is
from tronie.lab.training.distillation import (  # noqa: E402
    FileTeacher,
    Teaching,
    all_centers,
    check_teacher,
    teaching_of_file,
)
from tronie.lab.training.export import export_backbone  # noqa: E402
from tronie.lab.training.recipe import Teacher  # noqa: E402
from tronie.lab.training.recognition import open_head, to_input  # noqa: E402

pytestmark = pytest.mark.lab

ROWS = torch.randn(6, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64).float()
OTHER = torch.randn(6, 5, generator=torch.Generator().manual_seed(1), dtype=torch.float64).float()
CENTERS = torch.nn.functional.normalize(torch.randn(9, 5, generator=torch.manual_seed(2)))
EVERYTHING = Teacher(run="t", angular=7.0, l2=0.5, kl=2.0, temperature=3.0)


def teaching(asked):
    """A teacher that answers with ROWS whatever it sees."""

    class Fixed(torch.nn.Module):
        def forward(self, images):
            return ROWS

    return Teaching(settings=asked, network=Fixed(), classes=CENTERS, scale=10.0)


def test_a_student_that_is_its_teacher_has_nothing_to_learn():
    student = ROWS.clone().requires_grad_()
    loss = teaching(EVERYTHING).loss(torch.zeros(6), student)
    loss.backward()
    assert loss.item() == pytest.approx(0, abs=1e-6)
    assert student.grad.abs().max() < 1e-5


def test_the_parts_are_the_formulas_times_their_weights():
    t, s = ROWS.double().numpy(), OTHER.double().numpy()
    unit = [rows / (rows**2).sum(1, keepdims=True) ** 0.5 for rows in (t, s)]
    angular = ((unit[0] - unit[1]) ** 2).sum(1).mean()
    l2 = ((t - s) ** 2).sum(1).mean()
    logits = [torch.from_numpy(10.0 * rows @ CENTERS.double().numpy().T / 3.0) for rows in unit]
    p, q = (torch.softmax(one, dim=1).numpy() for one in logits)
    kl = 9 * (p * torch.log(torch.from_numpy(p / q)).numpy()).sum(1).mean()
    found = teaching(EVERYTHING).loss(torch.zeros(6), OTHER.clone())
    assert found.item() == pytest.approx(7 * angular + 0.5 * l2 + 2 * kl, rel=1e-4)


@pytest.mark.parametrize("part", ["angular", "l2", "kl"])
def test_each_part_may_be_asked_for_alone_and_moves_the_student_towards_its_teacher(part):
    asked = Teacher(run="t", **{part: 1.0})
    student = OTHER.clone().requires_grad_()
    steps = []
    for _ in range(30):
        loss = teaching(asked).loss(torch.zeros(6), student)
        (gradient,) = torch.autograd.grad(loss, student)
        student = (student - 0.2 * gradient).detach().requires_grad_()
        steps.append(loss.item())
    assert steps == sorted(steps, reverse=True)
    assert steps[-1] < 0.8 * steps[0]


def test_a_file_sees_the_very_pixels(tmp_path):
    """All 256 values of a pixel, through the float that students see and back."""
    crops = np.resize(np.arange(256, dtype=np.uint8), (2, 112, 112, 3))

    class Embedder:
        def embed(self, seen):
            np.testing.assert_array_equal(seen, crops)
            return seen[:, 0, :5, 0].astype(np.float32)

    rows = FileTeacher(Embedder())(to_input(crops, torch.device("cpu")))
    assert rows.tolist() == crops[:, 0, :5, 0].tolist()


@pytest.mark.parametrize(
    ("side", "size", "told"),
    [
        (96, 16, "takes crops of 96 x 96; students are trained on 112 x 112"),
        (112, 8, "embeddings of one size; got 8 and 16. Set embedding_size=16"),
    ],
)
def test_a_file_that_does_not_fit_the_student_is_refused(tmp_path, side, size, told):
    file = tmp_path / "t.onnx"
    export_backbone(tiny_backbone("tiny", embedding_size=16), file, embedding_size=16)
    contract = file.with_suffix(".toml")
    words = contract.read_text().replace("= 112", f"= {side}")
    contract.write_text(words)
    model = onnx.load(file)
    for axis in (2, 3):
        model.graph.input[0].type.tensor_type.shape.dim[axis].dim_param = f"side{axis}"
    onnx.save(model, file)
    with pytest.raises(BadInput, match=told):
        teaching_of_file(Teacher(model=str(file), angular=1.0), student_size=size, threads=1)


def test_the_centers_of_all_have_length_one():
    head = open_head(toy_recipe(), classes=7)
    rows = all_centers(head)
    wanted = torch.nn.functional.normalize(head.centers.values)
    assert torch.allclose(rows, wanted)


@pytest.mark.parametrize(
    ("asked", "facts", "told"),
    [
        (Teacher(run="t"), {}, "nothing is learned from it; set one of teacher.angular"),
        (
            Teacher(run="t", angular=1.0),
            {"student_size": 128},
            "embeddings of one size; got 128 and 512. Set embedding_size=512",
        ),
        (Teacher(run="t", kl=1.0), {"same_classes": False}, "need the teacher's classes"),
        (Teacher(run="t", copy_centers=True), {"same_classes": False}, "need the teacher's cla"),
    ],
)
def test_what_cannot_be_learned_is_refused(asked, facts, told):
    given = {"student_size": 512, "teacher_size": 512, "same_classes": True, **facts}
    with pytest.raises(BadInput, match=told):
        check_teacher(asked, **given)
