"""Weights of a published file, made here, in a fresh network: it says what the file says."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from tronie.errors import BadInput, BadModel, NotFound  # noqa: E402 - only where torch is
from tronie.lab.nn.detectors.scrfd import Layout, Scrfd  # noqa: E402
from tronie.lab.training.export_detector import detector_onnx  # noqa: E402
from tronie.lab.training.published_weights import take_published_weights  # noqa: E402

pytestmark = pytest.mark.lab
torch.set_num_threads(1)

TINY = Layout(
    block="basic",
    blocks=(1, 1, 1, 1),
    widths=(8, 8, 8, 8),
    neck=8,
    head=8,
    depth=1,
    groups=None,
    points=True,
    scaled=True,
)


def drawn(layout=TINY, seed=0):
    torch.manual_seed(seed)
    net = Scrfd(layout)
    with torch.no_grad():
        for part in net.modules():
            if isinstance(part, torch.nn.BatchNorm2d):
                part.weight.uniform_(0.5, 1.5)
                part.bias.uniform_(-0.5, 0.5)
                part.running_mean.uniform_(-0.5, 0.5)
                part.running_var.uniform_(0.5, 1.5)
        if net.head.scales is not None:
            net.head.scales.copy_(torch.tensor([0.5, 1.5, 2.5]))
    return net.eval()


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """A network, and its file as such files are published."""
    path = tmp_path_factory.mktemp("published") / "tiny.onnx"
    net = drawn()
    path.write_bytes(detector_onnx(net, layout="published"))
    return net, path


def test_a_fresh_network_says_what_the_file_says(published):
    net, path = published
    fresh = Scrfd(TINY).train()
    assert take_published_weights(fresh, path) is fresh
    assert not fresh.training
    picture = torch.rand(2, 3, 64, 96, generator=torch.Generator().manual_seed(3)) * 2 - 1
    with torch.no_grad():
        given, wanted = fresh(picture), net(picture)
    for name in ("scores", "distances", "points"):
        torch.testing.assert_close(getattr(given, name), getattr(wanted, name), rtol=0, atol=1e-4)


def test_a_deeper_network_is_refused_and_stays_as_it_was(published):
    other = drawn(replace(TINY, depth=2), seed=1)
    before = {name: value.clone() for name, value in other.state_dict().items()}
    with pytest.raises(BadModel, match=r"tiny.onnx has \d+ convolutions and the network \d+; they"):
        take_published_weights(other, published[1])
    for name, value in other.state_dict().items():
        np.testing.assert_array_equal(value.numpy(), before[name].numpy())


def test_a_wider_network_is_refused_by_the_convolution(published):
    with pytest.raises(BadModel, match=r"\d+ of the network needs .*16.*; tiny.onnx has"):
        take_published_weights(Scrfd(replace(TINY, head=16)), published[1])


def test_a_network_without_scales_is_refused(published):
    with pytest.raises(BadModel, match=r"tiny.onnx multiplies 3 levels; the network 0"):
        take_published_weights(Scrfd(replace(TINY, scaled=False)), published[1])


def test_group_norm_is_refused(published):
    with pytest.raises(BadInput, match="whose norms are folded; this network has group norm"):
        take_published_weights(Scrfd(replace(TINY, groups=2)), published[1])


def test_no_file_is_told(tmp_path):
    with pytest.raises(NotFound, match=r"no model file at .*none\.onnx"):
        take_published_weights(Scrfd(TINY), tmp_path / "none.onnx")
