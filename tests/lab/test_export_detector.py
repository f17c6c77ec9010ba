"""A tiny detector to a file and back: proven at free sizes, readable, and never half written."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from tronie.errors import BadInput, BadModel  # noqa: E402 - only where torch is
from tronie.lab.nn.detectors.scrfd import Layout, Scrfd  # noqa: E402
from tronie.lab.training import export_detector as module  # noqa: E402
from tronie.lab.training.export_detector import detector_onnx, export_detector  # noqa: E402
from tronie.runtime import zoo  # noqa: E402
from tronie.runtime.contract import Contract  # noqa: E402
from tronie.runtime.detector import Detector as Runner  # noqa: E402
from tronie.runtime.graph import parse_graph  # noqa: E402
from tronie.runtime.session import EngineOptions, session_of  # noqa: E402

pytestmark = pytest.mark.lab
torch.set_num_threads(1)

PUBLISHED = [f"{head}_{stride}" for head in ("score", "bbox", "kps") for stride in (8, 16, 32)]


def tiny(*, points=True, groups=None, block="basic"):
    """With numbers everywhere, so that nothing agrees because it is zero."""
    torch.manual_seed(0)
    widths = (8,) * (6 if block == "depthwise" else 4)
    layout = Layout(
        block=block,
        blocks=(1, 1, 1, 1),
        widths=widths,
        neck=8,
        head=8,
        depth=1,
        groups=groups,
        points=points,
    )
    net = Scrfd(layout)
    with torch.no_grad():
        for part in net.modules():
            if isinstance(part, torch.nn.BatchNorm2d | torch.nn.GroupNorm):
                part.weight.uniform_(0.5, 1.5)
                part.bias.uniform_(-0.5, 0.5)
            elif isinstance(part, torch.nn.Conv2d) and part.bias is not None:
                part.weight.normal_(0, 0.2)
                part.bias.uniform_(-0.5, 0.5)
        net.head.scales.copy_(torch.tensor([0.5, 1.5, 2.5]))
    return net.eval()


def opened(path):
    return zoo.open_model(zoo.find(path), EngineOptions(threads=1), kind="detector")


def session(net, layout):
    graph = parse_graph(detector_onnx(net, layout=layout), name="tiny")
    return session_of(graph, EngineOptions(threads=1, precision="stored"), name="tiny")


@pytest.fixture(scope="module", params=["decoded", "published"])
def exported(request):
    """A layout and its open file, of a network with points and one without group norm."""
    net = tiny()
    return request.param, net, session(net, request.param)


@pytest.mark.parametrize("shape", [(1, 64, 96), (3, 96, 32), (2, 33, 47), (1, 1, 1), (2, 160, 8)])
def test_the_file_says_what_torch_says_at_every_size_and_batch(exported, shape):
    layout, net, file = exported
    count, height, width = shape
    draw = np.random.default_rng(1)
    pictures = draw.uniform(-1, 1, (count, 3, height, width)).astype(np.float32)
    with torch.no_grad():
        outputs = net(torch.from_numpy(pictures))
        if layout == "published":
            wanted = list(net.published(outputs).values())
        else:
            boxes, scores, points = net.decode(outputs)
            wanted = [boxes, scores, points.flatten(2)]
    given = file.run(pictures)
    assert len(given) == len(wanted)
    for one, other in zip(given, wanted, strict=True):
        np.testing.assert_allclose(one, other.numpy(), rtol=1e-5, atol=1e-4)


def test_the_outputs_have_the_names_that_are_read(exported):
    layout, _, file = exported
    names = ["boxes", "scores", "landmarks"] if layout == "decoded" else PUBLISHED
    assert [output.name for output in file.outputs] == names
    assert file.input.name == ("pictures" if layout == "decoded" else "input.1")
    assert file.input.shape == (None, 3, None, None)


@pytest.mark.parametrize(("layout", "points"), [("decoded", False), ("published", True)])
def test_a_file_is_opened_by_its_name_and_finds_faces(tmp_path, layout, points):
    net = tiny(points=points, groups=2, block="depthwise")
    proof = export_detector(net, tmp_path / "det.onnx", layout=layout, threads=1)
    assert proof.layout == layout
    assert proof.max_difference <= 1e-4 * proof.largest
    assert proof.max_difference_reader <= 1e-4 * proof.largest
    assert proof.pictures == 4
    assert proof.size_bytes == (tmp_path / "det.onnx").stat().st_size
    opened_session, contract = opened(tmp_path / "det.onnx")
    assert contract.assumed == ()
    assert contract.format == {"decoded": "decoded", "published": "scrfd"}[layout]
    runner = Runner(opened_session, contract, canvas=64, score_threshold=0.0)
    found = runner.detect(np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8))
    assert len(found) > 0
    assert (found.landmarks is not None) == points


def test_both_layouts_lead_to_the_same_faces(tmp_path):
    net = tiny()
    picture = np.random.default_rng(2).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    found = []
    for layout in ("decoded", "published"):
        path = tmp_path / f"{layout}.onnx"
        export_detector(net, path, layout=layout, threads=1)
        opened_session, contract = opened(path)
        alone = Runner(
            opened_session, contract, canvas=64, score_threshold=0.0, nms_threshold=1.0
        ).detect(picture)
        found.append(alone)
    assert len(found[0]) == len(found[1]) > 100
    np.testing.assert_allclose(found[0].scores, found[1].scores, atol=1e-5)


def test_the_graph_is_plain_and_norms_are_folded():
    graph = parse_graph(detector_onnx(tiny(), layout="decoded"), name="tiny")
    kinds = {node.op_type for node in graph.graph.node}
    assert [(o.domain, o.version) for o in graph.opset_import] == [("", 17)]
    assert not kinds & {"BatchNormalization", "If", "Loop", "NonMaxSuppression", "Pad"}


def test_a_contract_that_is_handed_in_is_kept(tmp_path):
    stated = Contract(kind="detector", format="decoded", width=320, height=256, color="bgr")
    export_detector(tiny(), tmp_path / "det.onnx", contract=stated, threads=1)
    assert opened(tmp_path / "det.onnx")[1] == stated


def test_the_network_stays_in_training_and_as_it_was(tmp_path):
    net = tiny().train()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    export_detector(net, tmp_path / "det.onnx", threads=1)
    assert all(part.training for part in net.modules())
    for name, value in net.state_dict().items():
        torch.testing.assert_close(value, before[name], rtol=0, atol=0)


def test_a_network_is_left_in_evaluation_by_its_file():
    net = tiny()
    detector_onnx(net)
    assert not any(part.training for part in net.modules())


def test_a_file_that_disagrees_is_not_written_and_what_was_there_stays(tmp_path, monkeypatch):
    path = tmp_path / "det.onnx"
    path.write_bytes(b"before")
    other = tiny()
    with torch.no_grad():
        other.head.branches[0].scores.bias.add_(1)
    wrong = detector_onnx(other)
    monkeypatch.setattr(module, "detector_onnx", lambda network, *, layout, opset: wrong)
    with pytest.raises(BadModel, match=r"the exported det differs from its network by .* Nothing"):
        export_detector(tiny(), path, threads=1)
    assert path.read_bytes() == b"before"
    assert [file.name for file in tmp_path.iterdir()] == ["det.onnx"]


def test_another_ending_is_refused(tmp_path):
    with pytest.raises(BadInput, match=r"a file that ends in \.onnx; got .*det\.pt"):
        export_detector(tiny(), tmp_path / "det.pt")


def test_a_network_that_gives_nan_is_refused(tmp_path):
    net = tiny()
    with torch.no_grad():
        net.head.branches[0].scores.bias.fill_(float("nan"))
    with pytest.raises(BadModel, match="the network gives NaN or infinity for det"):
        export_detector(net, tmp_path / "det.onnx", threads=1)
    assert not list(tmp_path.iterdir())


def test_a_contract_of_another_format_is_refused(tmp_path):
    stated = Contract(kind="detector", format="yunet")
    with pytest.raises(BadInput, match="of a detector of the scrfd format; got detector and yunet"):
        export_detector(tiny(), tmp_path / "det.onnx", layout="published", contract=stated)


def test_a_network_without_a_published_layout_is_exported_decoded_only(tmp_path):
    class Own(Scrfd):
        published_format = None

    with pytest.raises(BadInput, match="Own has no published layout of outputs; export it decod"):
        export_detector(Own(tiny().layout), tmp_path / "det.onnx", layout="published")
