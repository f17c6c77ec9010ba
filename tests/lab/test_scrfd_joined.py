"""Joined ends say what decoding behind the network says, to rounding, and cost what they should."""

from __future__ import annotations

import copy

import pytest

torch = pytest.importorskip("torch")

from tronie.lab.nn.detectors.scrfd import Layout, Scrfd  # noqa: E402 - only where torch is
from tronie.lab.nn.scrfd_joined import JoinedScrfd  # noqa: E402

pytestmark = pytest.mark.lab
torch.set_num_threads(1)


def tiny(*, points, groups, scaled):
    """With numbers everywhere, so that nothing agrees because it is zero."""
    torch.manual_seed(0)
    layout = Layout(
        block="depthwise",
        blocks=(1, 1, 1, 1),
        widths=(8,) * 6,
        neck=8,
        head=8,
        depth=1,
        groups=groups,
        points=points,
        scaled=scaled,
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
        if net.head.scales is not None:
            net.head.scales.copy_(torch.tensor([0.5, 1.5, 2.5]))
    return net.eval()


def joined(net):
    return JoinedScrfd(net.backbone, net.neck, net.head).eval()


@pytest.mark.parametrize("points", [True, False])
@pytest.mark.parametrize(("groups", "scaled"), [(None, False), (None, True), (2, True)])
@pytest.mark.parametrize("shape", [(2, 64, 96), (1, 33, 47), (1, 1, 1)])
def test_it_says_what_decoding_says(points, groups, scaled, shape):
    net = tiny(points=points, groups=groups, scaled=scaled)
    count, height, width = shape
    pictures = torch.rand(count, 3, height, width, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        boxes, scores, offsets = net.decode(net(pictures * 2 - 1))
        given = joined(net)(pictures * 2 - 1)
    torch.testing.assert_close(given[0], boxes, rtol=1e-5, atol=1e-4)
    torch.testing.assert_close(given[1], scores, rtol=1e-5, atol=1e-6)
    assert (given[2] is None) == (not points)
    if points:
        torch.testing.assert_close(given[2], offsets.flatten(2), rtol=1e-5, atol=1e-4)


def test_the_network_keeps_its_weights():
    net = tiny(points=True, groups=None, scaled=True)
    before = copy.deepcopy(net.state_dict())
    with torch.no_grad():
        for part in joined(net).ends.parameters():
            part.add_(1)
    for name, value in net.state_dict().items():
        torch.testing.assert_close(value, before[name], rtol=0, atol=0)


def test_each_level_has_one_convolution_behind_its_tower():
    form = joined(tiny(points=True, groups=2, scaled=True))
    assert [tuple(end.weight.shape) for end in form.ends] == [(30, 8, 3, 3)] * 3
    assert len({id(tower) for tower in form.towers}) == 1
