"""SCRFD on tiny networks of its code: what it learns, what it does not; and published weights."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from tronie.lab.nn.detector import Targets, build_detector  # noqa: E402 - only where torch is
from tronie.lab.nn.detectors.scrfd import Layout, Scrfd  # noqa: E402
from tronie.lab.nn.losses.box_overlap import iou  # noqa: E402

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


def targets(boxes, *, ignore=None, points=None):
    """Of pictures that each hold a list of boxes; no points unless they are given."""
    most = max(1, *map(len, boxes))
    made = Targets(
        boxes=torch.zeros(len(boxes), most, 4),
        valid=torch.zeros(len(boxes), most, dtype=torch.bool),
        ignore=torch.zeros(len(boxes), most, dtype=torch.bool),
        points=torch.zeros(len(boxes), most, 5, 2),
        has_points=torch.zeros(len(boxes), most, 5, dtype=torch.bool),
    )
    for b, row in enumerate(boxes):
        for f, box in enumerate(row):
            made.boxes[b, f] = torch.tensor(box)
            made.valid[b, f] = True
            made.ignore[b, f] = ignore is not None and ignore[b][f]
            if points is not None:
                made.points[b, f] = torch.as_tensor(points[b][f])
                made.has_points[b, f] = True
    return made


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


@pytest.mark.parametrize(
    "boxes",
    [
        [[], []],
        [[[30.0, 30, 30, 60]], [[50.0, 50, 40, 40]]],
        [[[-300.0, -300, -200, -200]], [[1e30, 0, 2e30, 9]]],
        [[[-1e3, -1e3, 1e3, 1e3]], [[60.0, 60, 90, 90]]],
        [[[31.0, 31, 31.5, 31.5]], []],
    ],
    ids=["no faces", "no area", "outside", "over the border", "half a pixel"],
)
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
    draw = torch.Generator().manual_seed(0)
    upper = torch.rand(2000, 2, generator=draw) * 300
    boxes = torch.cat([upper, upper + 4 + torch.rand(2000, 2, generator=draw) * 20], dim=1)
    flags = torch.arange(2000) % 4 == 0
    given = targets([boxes.tolist()], ignore=[flags.tolist()])
    total, _ = net.loss(net(torch.rand(1, 3, 320, 320)), given)
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


def drawn(seed):
    """A picture of 96 x 96 with two faces: light ovals with dark eyes; boxes and five points."""
    draw = np.random.default_rng(seed)
    image = draw.uniform(-0.4, 0.0, (96, 96, 3))
    y, x = np.mgrid[0:96, 0:96]
    boxes, points = [], []
    for left, top in [(4, 6 + 10 * seed), (52, 40 - 12 * seed)]:
        width, height = draw.integers(22, 34, 2)
        cx, cy = left + width / 2, top + height / 2
        oval = ((x - cx) / (width / 2)) ** 2 + ((y - cy) / (height / 2)) ** 2 <= 1
        image[oval] = [0.9, 0.6, 0.4]
        shape = [(-0.4, -0.3), (0.4, -0.3), (0, 0.1), (-0.3, 0.5), (0.3, 0.5)]
        five = [(cx + u * width / 2, cy + v * height / 2) for u, v in shape]
        for px, py in five:
            image[(x - px) ** 2 + (y - py) ** 2 <= 4] = -0.9
        boxes.append([float(left), float(top), float(left + width), float(top + height)])
        points.append(five)
    return torch.tensor(image.transpose(2, 0, 1), dtype=torch.float32), boxes, points


@pytest.mark.slow
def test_three_drawn_pictures_are_learned_by_heart():
    pictures = [drawn(seed) for seed in range(3)]
    images = torch.stack([image for image, _, _ in pictures])
    boxes = [row for _, row, _ in pictures]
    given = targets(boxes, points=[row for _, _, row in pictures])
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
    net.eval()
    with torch.no_grad():
        found, scores, points = net.decode(net(images))
    for b, (_, wanted, five) in enumerate(pictures):
        order = scores[b].argsort(descending=True)
        kept = []
        for a in order.tolist():
            if all(overlap(found[b, a], found[b, k]) < 0.4 for k in kept):
                kept.append(a)
            if len(kept) == 3:
                break
        assert scores[b, kept[1]] > 0.5 > 2 * scores[b, kept[2]]
        for box, place in zip(wanted, five, strict=True):
            best = max(kept[:2], key=lambda a, b=b, box=box: overlap(found[b, a], box))
            assert overlap(found[b, best], box) > 0.8
            away = (points[b, best] - torch.tensor(place)).norm(dim=1)
            assert away.max() < 4


def overlap(one, other):
    return float(iou(torch.as_tensor(one), torch.as_tensor(other)))


# --- published files ----------------------------------------------------------------------


def with_weights_of(net, model):
    """`net` with the weights of a published file, whose norms are folded into its convolutions."""
    import onnx

    stored = {t.name: onnx.numpy_helper.to_array(t) for t in model.graph.initializer}
    convs = [
        [stored[n] for n in node.input[1:]] for node in model.graph.node if node.op_type == "Conv"
    ]
    scales = [
        float(stored[name])
        for node in model.graph.node
        if node.op_type == "Mul"
        for name in node.input
        if name in stored and stored[name].ndim == 0
    ]
    left = iter(convs)
    with torch.no_grad():
        for part in net.modules():
            if isinstance(part, torch.nn.Conv2d):
                weight, bias = (torch.tensor(array) for array in next(left))
                assert part.weight.shape == weight.shape
                part.weight.copy_(weight)
                if part.bias is not None:
                    part.bias.copy_(bias)
            elif isinstance(part, torch.nn.BatchNorm2d):
                part.running_var.fill_(1 - part.eps)
                part.weight.fill_(1)
                part.bias.copy_(bias)
        if net.head.scales is not None:
            net.head.scales.copy_(torch.tensor(scales))
    assert next(left, None) is None
    return net.eval()


@pytest.mark.data
@pytest.mark.parametrize(
    ("variant", "file", "side"),
    [("0.5g-kps", "scrfd_500m_bnkps.onnx", 640), ("2.5g-kps", "scrfd_2.5g_kps_dyn.onnx", 192)],
)
def test_with_published_weights_it_says_what_the_published_file_says(
    test_data, variant, file, side
):
    import onnx
    import onnxruntime

    path = test_data / "weights" / file
    if not path.is_file():
        pytest.skip(f"{file} is not here")
    net = with_weights_of(build_detector(f"scrfd-{variant}"), onnx.load(path))
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
