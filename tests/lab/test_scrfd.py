"""SCRFD on tiny networks of its code: what it learns, what it does not; and published weights."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from detector_toys import (  # noqa: E402 - only where torch is
    ODD,
    assert_faces_are_found,
    drawn_batch,
    many_faces,
    targets,
)
from tronie.lab.nn.detector import build_detector  # noqa: E402
from tronie.lab.nn.detectors.scrfd import Layout, Scrfd  # noqa: E402
from tronie.lab.training.published_weights import take_published_weights  # noqa: E402

pytestmark = pytest.mark.lab
torch.set_num_threads(1)


def tiny(*, points=True, groups=4, widths=(8, 8, 8, 8)):
    torch.manual_seed(0)
    return Scrfd(
        Layout(
            block="basic",
            blocks=(1, 1, 1, 1),
            widths=widths,
            neck=8,
            head=16,
            groups=groups,
            points=points,
        )
    )


def gradients(net):
    return {name: p.grad for name, p in net.named_parameters()}


def test_every_parameter_gets_a_gradient_and_the_parts_sum_up():
    net = tiny()
    with torch.no_grad():
        for part in net.modules():
            if isinstance(part, torch.nn.BatchNorm2d):
                part.weight.fill_(1)  # a fresh unit is its shortcut, behind which nothing learns
    boxes = [[[8.0, 8, 40, 44]], [[20.0, 30, 34, 50]]]
    points = [[torch.rand(5, 2) * 40] for _ in range(2)]
    big = [[0.0, 0, 64, 64]]
    boxes[1] += big
    points[1].append(torch.rand(5, 2) * 64)
    total, parts = net.loss(net(torch.rand(2, 3, 64, 64)), targets(boxes, points=points))
    assert set(parts) == {"classification", "boxes", "points"}
    torch.testing.assert_close(total, sum(parts.values()))
    total.backward()
    assert [name for name, grad in gradients(net).items() if grad is None] == []


@pytest.mark.parametrize("boxes", ODD.values(), ids=ODD)
@pytest.mark.parametrize("points", [False, True])
def test_odd_boxes_give_a_loss_and_gradients_that_are_numbers(boxes, points):
    net = tiny(points=points)
    total, parts = net.loss(net(torch.rand(2, 3, 64, 64)), targets(boxes))
    total.backward()
    assert all(part.isfinite() for part in [total, *parts.values()])
    for grad in gradients(net).values():
        assert grad is not None
        assert grad.isfinite().all()


def test_two_thousand_faces_are_no_trouble():
    net = tiny()
    total, _ = net.loss(net(torch.rand(1, 3, 320, 320)), many_faces(2000))
    total.backward()
    assert total.isfinite()


def test_a_picture_of_one_pixel_has_its_anchors():
    net = tiny().eval()
    with torch.no_grad():
        outputs = net(torch.rand(1, 3, 1, 1))
        boxes, scores, points = net.decode(outputs)
    assert outputs.levels == ((8, 1, 1), (16, 1, 1), (32, 1, 1))
    assert boxes.shape == (1, 6, 4)
    assert points.shape == (1, 6, 5, 2)
    assert ((scores > 0) & (scores < 1)).all()


def test_faces_that_are_ignored_teach_nothing():
    """Neither their boxes nor the scores of the anchors that would answer for them."""
    net = tiny(points=False)
    images, face, other = torch.rand(1, 3, 64, 64), [6.0, 6, 30, 34], [36.0, 34, 58, 60]
    outputs = net(images)
    outputs.scores = outputs.scores.detach().requires_grad_()
    alone, _ = net.loss(outputs, targets([[face]]))
    (background,) = torch.autograd.grad(alone, outputs.scores, retain_graph=True)
    both, _ = net.loss(outputs, targets([[face, other]], ignore=[[False, True]]))
    (ignored,) = torch.autograd.grad(both, outputs.scores, retain_graph=True)
    where = torch.tensor(other).expand(1, outputs.scores.shape[1], 4)
    outputs.distances, _ = net.encode(where, where.new_zeros(1, 1, 5, 2), levels=outputs.levels)
    won, _ = net.loss(outputs, targets([[face, other]]))
    (as_face,) = torch.autograd.grad(won, outputs.scores)
    free = ignored == 0
    assert (background != 0).all()
    assert 0 < free.sum() < 60
    torch.testing.assert_close(ignored[~free], background[~free])
    assert (as_face[free] < 0).any()  # as a face it would have raised scores there


def test_an_ignored_box_does_not_take_what_a_face_has():
    net = tiny(points=False)
    outputs, face = net(torch.rand(1, 3, 64, 64)), [6.0, 6, 38, 38]
    alone = net.loss(outputs, targets([[face]]))[1]["boxes"]
    both = net.loss(outputs, targets([[face, [0.0, 0, 64, 64]]], ignore=[[False, True]]))[1]
    torch.testing.assert_close(both["boxes"], alone)
    assert both["classification"] > 0


def test_faces_and_points_survive_encoding_and_decoding():
    net = tiny().eval()
    outputs = net(torch.rand(2, 3, 40, 64))
    draw = torch.Generator().manual_seed(0)
    count = outputs.scores.shape[1]
    boxes = torch.rand(2, count, 4, generator=draw) * 100
    points = torch.rand(2, count, 5, 2, generator=draw) * 100
    outputs.distances, outputs.points = net.encode(boxes, points, levels=outputs.levels)
    got, _, found = net.decode(outputs)
    torch.testing.assert_close(got, boxes, rtol=0, atol=1e-4)
    torch.testing.assert_close(found, points, rtol=0, atol=1e-4)


def test_a_perfect_answer_costs_nothing_but_its_score():
    """Where every anchor of a face says its box and points, only scores are left to learn."""
    net = tiny().eval()
    outputs = net(torch.rand(1, 3, 64, 64))
    face, five = torch.tensor([10.0, 12, 42, 50]), torch.rand(5, 2) * 64
    count = outputs.scores.shape[1]
    outputs.distances, outputs.points = net.encode(
        face.expand(1, count, 4), five.expand(1, count, 5, 2), levels=outputs.levels
    )
    _, parts = net.loss(outputs, targets([[face.tolist()]], points=[[five]]))
    assert float(parts["boxes"]) == pytest.approx(0, abs=1e-5)
    assert float(parts["points"]) == pytest.approx(0, abs=1e-6)
    assert parts["classification"] > 0.1


@pytest.mark.slow
def test_three_drawn_pictures_are_learned_by_heart():
    images, boxes, points, given = drawn_batch(3)
    net = tiny(widths=(16, 16, 24, 32)).train()
    optimizer = torch.optim.AdamW(net.parameters(), lr=6e-3)
    begun = None
    for step in range(200):
        for group in optimizer.param_groups:
            group["lr"] = 6e-3 * (1 - step / 200) + 1e-4
        total, _ = net.loss(net(images), given)
        begun = begun or total.item()
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
    assert total.item() < begun / 5
    assert_faces_are_found(net.eval(), images, boxes, points)


# --- published files ----------------------------------------------------------------------


@pytest.mark.data
@pytest.mark.parametrize(
    ("variant", "file", "side"),
    [("0.5g-kps", "scrfd_500m_bnkps.onnx", 640), ("2.5g-kps", "scrfd_2.5g_kps_dyn.onnx", 192)],
)
def test_with_published_weights_it_says_what_the_published_file_says(
    test_data, variant, file, side
):
    import onnxruntime

    path = test_data / "weights" / file
    if not path.is_file():
        pytest.skip(f"{file} is not here")
    net = take_published_weights(build_detector(f"scrfd-{variant}"), path)
    draw = np.random.default_rng(0)
    picture = draw.uniform(-1, 1, (1, 3, side // 8, side // 8)).repeat(8, axis=2).repeat(8, axis=3)
    picture = picture.astype(np.float32)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    given = session.run(None, {session.get_inputs()[0].name: picture})
    with torch.no_grad():
        wanted = net.published(net(torch.from_numpy(picture)))
    assert len(given) == len(wanted) == 9
    for one, other in zip(given, wanted.values(), strict=True):
        np.testing.assert_allclose(one.reshape(other.shape), other.numpy(), atol=2e-4)
