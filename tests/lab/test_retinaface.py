"""RetinaFace on tiny networks of its code: what it learns, what it does not; published weights."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from detector_toys import ODD, assert_faces_are_found, drawn_batch, many_faces, targets  # noqa: E402 - where torch is
from tronie.errors import BadInput  # noqa: E402
from tronie.lab.nn.cost import parameters  # noqa: E402
from tronie.lab.nn.detector import build_detector  # noqa: E402
from tronie.lab.nn.detector_cost import layer_flops  # noqa: E402
from tronie.lab.nn.detectors.retinaface import RetinaFace  # noqa: E402
from tronie.lab.nn.retinaface_layout import LAYOUTS  # noqa: E402
from tronie.lab.training.export_detector import detector_onnx, export_detector  # noqa: E402
from tronie.runtime import zoo  # noqa: E402
from tronie.runtime.detector import Detector as Runner  # noqa: E402
from tronie.runtime.graph import parse_graph  # noqa: E402
from tronie.runtime.session import EngineOptions, session_of  # noqa: E402

pytestmark = pytest.mark.lab
torch.set_num_threads(1)
SLOW = pytest.mark.slow


def tiny(form="small", *, width=16, widths=(8, 8, 8, 12, 16, 24), **changes):
    """The small form, or the paper's; both of few channels."""
    torch.manual_seed(0)
    whole = LAYOUTS["mobilenet-0.25" if form == "small" else "resnet-50-p2"]
    layout = replace(
        whole, backbone="depthwise", blocks=(1, 1, 1, 1), widths=widths, width=width, **changes
    )
    return RetinaFace(layout)


def restless(net):
    """With numbers everywhere, so that nothing agrees because it is zero."""
    with torch.no_grad():
        for part in net.modules():
            if isinstance(part, torch.nn.BatchNorm2d):
                part.weight.uniform_(0.5, 1.5)
                part.bias.uniform_(-0.5, 0.5)
            elif isinstance(part, torch.nn.Conv2d) and part.bias is not None:
                part.weight.normal_(0, 0.1)
                part.bias.uniform_(-0.5, 0.5)
    return net.eval()


FORMS = {
    "small": {},
    "paper": {"form": "paper"},
    "dcn": {"form": "paper", "deformable": True},
    "dense": {"form": "paper", "dense": True},
}


@pytest.fixture(params=FORMS)
def form(request):
    return FORMS[request.param]


def gradients(net):
    return {name: p.grad for name, p in net.named_parameters()}


def test_published_counts_of_the_small_form():
    """Parameters exactly, and multiply-adds of its convolutions at VGA to the printed digit."""
    for variant, count, macs in (
        ("mobilenet-0.25", 426_608, 0.736),
        ("resnet-50", 27_293_600, 33.20),
    ):
        with torch.device("meta"):
            net = build_detector(f"retinaface-{variant}").eval()
        assert parameters(net) == count
        counted = sum(layer.macs for layer in layer_flops(net)) / 1e9
        assert counted == pytest.approx(macs, abs=0.5 * (0.001 if macs < 1 else 0.01))


def test_the_papers_network_is_as_large_as_its_file():
    """262 MB are printed; 4 bytes a number, and megabytes of 2^20 bytes."""
    for variant in ("resnet-152", "resnet-152-dcn"):
        with torch.device("meta"):
            net = build_detector(f"retinaface-{variant}")
        assert 4 * parameters(net) / 2**20 == pytest.approx(262, rel=0.02)


def test_every_parameter_gets_a_gradient_and_the_parts_sum_up(form):
    net = tiny(**form).train()
    boxes = [[[8.0, 8, 40, 44], [0, 0, 64, 64]], [[20.0, 30, 34, 50]]]
    points = [[torch.rand(5, 2) * 40 for _ in row] for row in boxes]
    total, parts = net.loss(net(torch.rand(2, 3, 64, 64)), targets(boxes, points=points))
    dense = {"pixels"} if net.dense is not None else set()
    assert set(parts) == {"classification", "boxes", "points"} | dense
    torch.testing.assert_close(total, sum(parts.values()))
    assert all(part > 0 for part in parts.values())
    total.backward()
    assert [name for name, grad in gradients(net).items() if grad is None] == []


@pytest.mark.parametrize("boxes", ODD.values(), ids=ODD)
def test_odd_boxes_give_a_loss_and_gradients_that_are_numbers(boxes, form):
    net = tiny(**form).train()
    total, parts = net.loss(net(torch.rand(2, 3, 64, 64)), targets(boxes))
    total.backward()
    assert parts["classification"] > 0
    assert all(part.isfinite() for part in [total, *parts.values()])
    for grad in gradients(net).values():
        assert grad is not None
        assert grad.isfinite().all()


def test_two_thousand_faces_are_no_trouble():
    net = tiny()
    total, _ = net.loss(net(torch.rand(1, 3, 320, 320)), many_faces(2000))
    total.backward()
    assert total.isfinite()


@pytest.mark.parametrize("size", [(1, 1), (5, 70), (33, 47)])
def test_any_size_has_its_anchors(form, size):
    net = tiny(**form).eval()
    with torch.no_grad():
        outputs = net(torch.rand(1, 3, *size))
        boxes, scores, points = net.decode(outputs)
    assert outputs.levels == tuple((s, -(-size[0] // s), -(-size[1] // s)) for s in net.strides)
    count = sum(rows * columns for _, rows, columns in outputs.levels) * net.per_cell
    assert boxes.shape == (1, count, 4)
    assert points.shape == (1, count, 5, 2)
    assert ((scores > 0) & (scores < 1)).all()


def test_a_picture_teaches_so_many_negatives_for_each_positive(form):
    net = tiny(**form).train()
    outputs = net(torch.rand(2, 3, 96, 96))
    outputs.scores = (outputs.scores + torch.randn_like(outputs.scores)).detach().requires_grad_()
    total, _ = net.loss(outputs, targets([[[8.0, 8, 40, 40]], []]))
    (grad,) = torch.autograd.grad(total, outputs.scores)
    positives, ratio = (grad < 0).sum(dim=1), net.layout.rules.negatives
    assert positives[0] >= 1
    assert positives[1] == 0
    assert (grad > 0).sum(dim=1).tolist() == [ratio * int(positives[0]), ratio]
    easiest = outputs.scores[1][grad[1] > 0].min()
    assert (outputs.scores[1][grad[1] == 0] <= easiest).all()


def test_the_loss_is_the_sum_of_its_definition():
    """One face, one anchor's worth at a time, with the numbers of the paper."""
    net = tiny("paper").eval()
    face, five = [10.0, 12, 42, 50], torch.rand(5, 2) * 64
    with torch.no_grad():
        outputs = net(torch.rand(1, 3, 64, 64))
        _, parts = net.loss(outputs, targets([[face]], points=[[five]]))
    boxes, points = [], []
    for row, (x, y, side) in enumerate(squares_of(net, outputs)):
        if share(face, [x - side / 2, y - side / 2, x + side / 2, y + side / 2]) < 0.5:
            continue
        wanted = [(26 - x) / side, (31 - y) / side, np.log(32 / side), np.log(38 / side)]
        boxes.append(sum(map(smooth, outputs.distances[0, row].numpy() - wanted)))
        away = (five.numpy() - [x, y]) / side
        points.append(sum(map(smooth, outputs.points[0, row].numpy() - away.ravel())))
    assert len(boxes) > 1
    assert float(parts["boxes"]) == pytest.approx(0.25 * np.mean(boxes), rel=1e-4)
    assert float(parts["points"]) == pytest.approx(0.1 * np.mean(points), rel=1e-4)


def squares_of(net, outputs):
    """Middle and side of each anchor, by the definition."""
    for stride, rows, columns in outputs.levels:
        for row in range(rows):
            for column in range(columns):
                for side in net.layout.sides[stride]:
                    yield (column + 0.5) * stride, (row + 0.5) * stride, side


def share(a, b):
    across = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
    down = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (a, b)]
    return across * down / (sum(areas) - across * down)


def smooth(error):
    return error**2 / 2 if abs(error) < 1 else abs(error) - 0.5


def test_faces_that_are_ignored_teach_nothing(form):
    net = tiny(**form).eval()
    images, face, other = torch.rand(1, 3, 64, 64), [6.0, 6, 38, 38], [40.0, 40, 60, 60]
    outputs = net(images)
    outputs.scores = outputs.scores.detach().requires_grad_()
    everything = replace(net.layout.rules, negatives=10**6)
    net.layout = replace(net.layout, rules=everything)
    alone = net.loss(outputs, targets([[face]]))[1]
    (background,) = torch.autograd.grad(alone["classification"], outputs.scores)
    both = net.loss(outputs, targets([[face, other]], ignore=[[False, True]]))[1]
    (ignored,) = torch.autograd.grad(both["classification"], outputs.scores)
    free = (ignored == 0) & (background != 0)
    assert free.sum() > 4
    torch.testing.assert_close(ignored[~free], background[~free])
    for part in ("boxes", "points"):
        torch.testing.assert_close(both[part], alone[part])


def test_faces_and_points_survive_encoding_and_decoding(form):
    net = tiny(**form).eval()
    outputs = net(torch.rand(2, 3, 40, 64))
    draw = torch.Generator().manual_seed(0)
    count = outputs.scores.shape[1]
    upper = torch.rand(2, count, 2, generator=draw) * 100
    boxes = torch.cat([upper, upper + 1 + torch.rand(2, count, 2, generator=draw) * 90], dim=2)
    points = torch.rand(2, count, 5, 2, generator=draw) * 100
    outputs.distances, outputs.points = net.encode(boxes, points, levels=outputs.levels)
    got, _, found = net.decode(outputs)
    torch.testing.assert_close(got, boxes, rtol=0, atol=1e-4)
    torch.testing.assert_close(found, points, rtol=0, atol=1e-4)


def test_fresh_deformable_layers_change_nothing():
    plain, free = tiny("paper").eval(), tiny("paper", deformable=True).eval()
    left = {name: value for name, value in free.state_dict().items() if ".offsets." not in name}
    plain.load_state_dict(left)
    images = torch.rand(1, 3, 50, 70)
    with torch.no_grad():
        one, other = plain(images), free(images)
    torch.testing.assert_close(one.scores, other.scores, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(one.distances, other.distances, rtol=1e-4, atol=1e-4)


def test_nothing_of_the_dense_branch_is_left_in_evaluation():
    net = tiny("paper", dense=True)
    assert type(net.train()(torch.rand(2, 3, 32, 32))).__name__ == "DenseOutputs"
    outputs = net.eval()(torch.rand(1, 3, 32, 32))
    assert type(outputs).__name__ == "Outputs"
    _, parts = net.loss(outputs, targets([[[4.0, 4, 20, 20]]]))
    assert "pixels" not in parts
    one, other = (  # arrays that are equal are stored once, and named again by Identity
        [node.op_type for node in graph.node if node.op_type != "Identity"]
        for graph in (
            parse_graph(detector_onnx(each), name="tiny").graph
            for each in (net, tiny("paper").eval())
        )
    )
    assert one == other


@pytest.mark.slow
def test_three_drawn_pictures_are_learned_by_heart():
    images, boxes, points, given = drawn_batch(3)
    net = tiny(width=32, widths=(16, 16, 16, 24, 32, 32)).train()
    optimizer = torch.optim.AdamW(net.parameters(), lr=6e-3)
    begun = None
    for step in range(120):
        for group in optimizer.param_groups:
            group["lr"] = 6e-3 * (1 - step / 120) + 1e-4
        total, _ = net.loss(net(images), given)
        begun = begun or total.item()
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
    assert total.item() < begun / 5
    assert_faces_are_found(net.eval(), images, boxes, points)


# --- export -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "layout", "opset"),
    [
        ({}, "decoded", 17),
        ({}, "published", 17),
        ({"form": "paper", "dense": True}, "decoded", 17),
        pytest.param({"form": "paper", "deformable": True}, "decoded", 17, marks=SLOW),
        pytest.param({"form": "paper", "deformable": True}, "decoded", 19, marks=SLOW),
    ],
    ids=["small", "small published", "paper", "sampled", "DeformConv"],
)
def test_the_file_says_what_torch_says_and_is_read_by_its_format(tmp_path, changes, layout, opset):
    net = restless(tiny(**changes))
    proof = export_detector(net, tmp_path / "det.onnx", layout=layout, threads=1, opset=opset)
    assert proof.max_difference <= 1e-4 * max(1, proof.largest)
    assert proof.max_difference_reader <= 1e-4 * max(1, proof.largest)
    session, contract = zoo.open_model(
        zoo.find(tmp_path / "det.onnx"), EngineOptions(threads=1), kind="detector"
    )
    assert contract.format == ("retinaface" if layout == "published" else "decoded")
    assert (contract.color, contract.mean, contract.std) == ("rgb", (127.5,) * 3, (128.0,) * 3)
    runner = Runner(session, contract, canvas=64, score_threshold=0.0)
    found = runner.detect(np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8))
    assert len(found) > 0
    assert found.landmarks is not None


def test_a_file_takes_a_picture_of_one_pixel():
    net = restless(tiny("paper"))
    graph = parse_graph(detector_onnx(net), name="tiny")
    session = session_of(graph, EngineOptions(threads=1, precision="stored"), name="tiny")
    pixel = np.full((1, 3, 1, 1), 0.5, np.float32)
    with torch.no_grad():
        wanted = net.decode(net(torch.from_numpy(pixel)))
    for one, other in zip(session.run(pixel), wanted, strict=True):
        np.testing.assert_allclose(one.reshape(other.shape), other, rtol=1e-4, atol=1e-4)


def test_the_papers_form_has_no_published_layout():
    net = tiny("paper").eval()
    assert net.published_format is None
    with pytest.raises(BadInput, match="RetinaFace has no published layout of outputs; export it"):
        net.published(net(torch.rand(1, 3, 32, 32)))


# --- a published file ---------------------------------------------------------------------


def with_weights_of(net, model):
    """`net` with the weights of the published file, whose norms are folded, told by node names."""
    import onnx

    stored = {t.name: onnx.numpy_helper.to_array(t) for t in model.graph.initializer}
    convs = [
        (node.name or node.output[0], [torch.tensor(stored[n]) for n in node.input[1:]])
        for node in model.graph.node
        if node.op_type == "Conv"
    ]

    def of(word):
        return [arrays for name, arrays in convs if word in name]

    order = [*of("/body/"), *of("/output"), *reversed(of("/merge")), *of("/ssh")]
    for level in range(3):
        for head in ("ClassHead", "BboxHead", "LandmarkHead"):
            order += of(f"{head}.{level}/")
    assert len(order) == len(convs)
    left = iter(order)
    with torch.no_grad():
        for part in net.modules():
            if isinstance(part, torch.nn.Conv2d):
                weight, bias = next(left)
                assert part.weight.shape == weight.shape
                part.weight.copy_(weight)
                if part.bias is not None:
                    part.bias.copy_(bias)
            elif isinstance(part, torch.nn.BatchNorm2d):
                part.running_var.fill_(1 - part.eps)
                part.bias.copy_(bias)
    return net.eval()


@pytest.mark.data
def test_with_published_weights_it_says_what_the_published_file_says(test_data):
    import onnx
    import onnxruntime

    path = test_data / "weights" / "retinaface_mnet025.onnx"
    if not path.is_file():
        pytest.skip(f"{path.name} is not here")
    net = with_weights_of(build_detector("retinaface-mobilenet-0.25"), onnx.load(path))
    draw = np.random.default_rng(0)
    picture = draw.uniform(-110, 140, (1, 3, 24, 20)).repeat(8, axis=2).repeat(8, axis=3)
    picture = picture.astype(np.float32)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    given = session.run(None, {session.get_inputs()[0].name: picture})
    with torch.no_grad():
        wanted = net.published(net(torch.from_numpy(picture)))
    assert [output.name for output in session.get_outputs()] == list(wanted)
    for one, other in zip(given, wanted.values(), strict=True):
        np.testing.assert_allclose(one, other.numpy(), atol=2e-4)
