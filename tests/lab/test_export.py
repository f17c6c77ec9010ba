"""A toy network to a file and back: proven, stated, and never half written."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402 - only where torch is

from tronie.errors import BadInput, BadModel  # noqa: E402
from tronie.lab.nn.layers.conv import conv_norm  # noqa: E402
from tronie.lab.training import export  # noqa: E402
from tronie.lab.training.export import export_backbone, onnx_bytes, settle_norms  # noqa: E402
from tronie.runtime import zoo  # noqa: E402
from tronie.runtime.contract import Contract  # noqa: E402
from tronie.runtime.embedder import Embedder  # noqa: E402
from tronie.runtime.graph import parse_graph  # noqa: E402
from tronie.runtime.session import EngineOptions  # noqa: E402

pytestmark = pytest.mark.lab
torch.set_num_threads(1)


def toy(dimension=6):
    torch.manual_seed(0)
    net = nn.Sequential(
        conv_norm(3, 8, kernel=3, stride=4),
        conv_norm(8, 8, kernel=3, stride=4, groups=8),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(8, dimension),
    )
    settle_norms(net)
    return net


def opened(path):
    return Embedder(*zoo.open_model(zoo.find(path), EngineOptions(threads=1), kind="embedder"))


@pytest.fixture
def crops():
    return np.random.default_rng(1).integers(0, 256, (4, 112, 112, 3), dtype=np.uint8)


def test_the_file_is_opened_by_its_name_and_gives_what_the_network_gives(tmp_path, crops):
    net = toy()
    path = tmp_path / "toy.onnx"
    export_backbone(net, path, embedding_size=6, threads=1)
    embedder = opened(path)
    assert embedder.contract.assumed == ()
    pixels = (crops.astype(np.float32) - 127.5) / 127.5
    with torch.no_grad():
        wanted = net(torch.from_numpy(pixels.transpose(0, 3, 1, 2).copy())).numpy()
    np.testing.assert_allclose(embedder.embed(crops), wanted, atol=1e-5)


def test_the_proof_says_how_far_and_beside_what(tmp_path):
    proof = export_backbone(toy(), tmp_path / "toy.onnx", embedding_size=6, threads=1)
    assert 0 <= proof.max_difference <= 1e-4 * max(1, proof.largest)
    assert 0 <= proof.max_difference_embedder <= 1e-4 * max(1, proof.largest)
    assert proof.size_bytes == (tmp_path / "toy.onnx").stat().st_size
    assert (proof.embedding_size, proof.opset) == (6, 17)


def test_the_graph_is_plain_with_a_free_batch_and_norms_folded():
    model = parse_graph(onnx_bytes(toy()), name="toy")
    assert [(o.domain, o.version) for o in model.opset_import] == [("", 17)]
    assert "BatchNormalization" not in {node.op_type for node in model.graph.node}
    assert model.graph.input[0].type.tensor_type.shape.dim[0].dim_param == "batch"
    assert [v.name for v in [*model.graph.input, *model.graph.output]] == ["pictures", "embeddings"]


def test_a_contract_that_is_handed_in_is_kept(tmp_path, crops):
    """The same network on pixels of another order and range gives something else."""
    stated = Contract(
        kind="embedder",
        format="embedding",
        color="bgr",
        mean=(104.0, 117.0, 123.0),
        std=(57.5, 57.5, 57.5),
        dimension=6,
    )
    export_backbone(toy(), tmp_path / "a.onnx", embedding_size=6, contract=stated, threads=1)
    export_backbone(toy(), tmp_path / "b.onnx", embedding_size=6, threads=1)
    a, b = opened(tmp_path / "a.onnx"), opened(tmp_path / "b.onnx")
    assert a.contract == stated
    assert np.abs(a.embed(crops) - b.embed(crops)).max() > 0.01


def test_the_network_stays_in_training_and_as_it_was(tmp_path):
    net = toy().train()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    export_backbone(net, tmp_path / "toy.onnx", embedding_size=6, threads=1)
    assert net.training
    for name, value in net.state_dict().items():
        torch.testing.assert_close(value, before[name], rtol=0, atol=0)


def test_equal_weights_are_stored_as_often_as_they_are_there(tmp_path):
    """settle_norms makes them differ, since a file would hold equal ones once."""
    fresh = nn.Sequential(nn.BatchNorm2d(3), nn.PReLU(), nn.BatchNorm2d(3), nn.Flatten())
    fresh = nn.Sequential(*fresh, nn.Linear(3 * 112**2, 2))
    shared = len(parse_graph(onnx_bytes(fresh.eval()), name="fresh").graph.initializer)
    settle_norms(fresh)
    apart = len(parse_graph(onnx_bytes(fresh), name="fresh").graph.initializer)
    assert apart == 4 + 1 + 4 + 2
    assert shared < apart


def test_settled_norms_hold_the_statistics_of_what_they_saw():
    net = toy()
    assert not net.training
    draw = torch.Generator().manual_seed(1)
    with torch.no_grad():
        seen = net[0][:2](torch.rand(16, 3, 112, 112, generator=draw) * 2 - 1)
    mean, std = seen.mean(dim=(0, 2, 3)), seen.std(dim=(0, 2, 3))
    torch.testing.assert_close(mean, torch.zeros(8), rtol=0, atol=0.1)
    torch.testing.assert_close(std, torch.ones(8), rtol=0, atol=0.1)
    assert net[0][1].momentum == 0.1


def test_a_file_that_disagrees_is_not_written_and_what_was_there_stays(tmp_path, monkeypatch):
    path = tmp_path / "toy.onnx"
    path.write_bytes(b"before")
    other = toy()
    with torch.no_grad():
        other[-1].bias.add_(1)
    wrong = onnx_bytes(other)
    monkeypatch.setattr(export, "onnx_bytes", lambda network, *, opset: wrong)
    with pytest.raises(
        BadModel, match=r"the exported toy differs from its network by 1\b.*Nothing"
    ):
        export_backbone(toy(), path, embedding_size=6, threads=1)
    assert path.read_bytes() == b"before"
    assert [file.name for file in tmp_path.iterdir()] == ["toy.onnx"]


def test_another_ending_is_refused(tmp_path):
    with pytest.raises(BadInput, match=r"a file that ends in \.onnx; got .*toy\.pt"):
        export_backbone(toy(), tmp_path / "toy.pt", embedding_size=6)


def test_another_size_of_embedding_is_refused(tmp_path):
    with pytest.raises(BadInput, match=r"embeddings of 5 numbers were promised .* gives \(5, 6\)"):
        export_backbone(toy(), tmp_path / "toy.onnx", embedding_size=5, threads=1)


def test_a_network_that_gives_nan_is_refused(tmp_path):
    net = toy()
    with torch.no_grad():
        net[-1].bias.fill_(float("nan"))
    with pytest.raises(BadModel, match="the network gives NaN or infinity for toy"):
        export_backbone(net, tmp_path / "toy.onnx", embedding_size=6, threads=1)
    assert not list(tmp_path.iterdir())
