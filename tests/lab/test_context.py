"""The context module: how far it sees, and that any convolution can be put into it."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402 - only where torch is

from tronie.lab.nn.layers.context import ContextModule  # noqa: E402
from tronie.lab.nn.layers.conv import conv_norm  # noqa: E402
from tronie.lab.nn.layers.deformable import DeformableConv2d, deformable_norm  # noqa: E402

pytestmark = pytest.mark.lab
torch.set_num_threads(1)


def relu(_):
    return nn.ReLU()


def made(convolution=conv_norm):
    torch.manual_seed(0)
    return ContextModule(8, activation=relu, convolution=convolution).eval()


def test_its_parts_see_three_five_and_seven_pixels():
    module = made()
    maps = torch.zeros(1, 8, 11, 11).requires_grad_()
    with torch.no_grad():
        for part in module.modules():
            if isinstance(part, nn.Conv2d):
                part.weight.fill_(1)  # nothing is cut off by an activation
    answer = module(maps + 1)
    assert answer.shape == maps.shape
    for channels, reach in ((slice(0, 4), 1), (slice(4, 6), 2), (slice(6, 8), 3)):
        (grad,) = torch.autograd.grad(answer[0, channels, 5, 5].sum(), maps, retain_graph=True)
        seen = grad[0].abs().sum(dim=0) > 0
        wanted = torch.zeros(11, 11, dtype=torch.bool)
        wanted[5 - reach : 6 + reach, 5 - reach : 6 + reach] = True
        assert torch.equal(seen, wanted)


def test_the_answer_is_that_of_its_formula():
    module, maps = made(), torch.randn(2, 8, 5, 6)
    with torch.no_grad():
        middle = module.middle[1](module.middle[0](maps)).relu()
        further = module.further[1](module.further[0](middle)).relu()
        sides = [module.wide(maps), module.wider(middle), module.widest(further)]
        torch.testing.assert_close(module(maps), torch.cat(sides, dim=1).relu())


def test_a_fresh_deformable_one_is_the_plain_one():
    plain, free = made(), made(deformable_norm)
    mains = [part for part in free.modules() if isinstance(part, DeformableConv2d)]
    convs = [part for part in plain.modules() if isinstance(part, nn.Conv2d)]
    assert len(mains) == len(convs) == 5
    with torch.no_grad():
        for main, conv in zip(mains, convs, strict=True):
            main.weight.copy_(conv.weight)
        maps = torch.randn(1, 8, 6, 7)
        torch.testing.assert_close(free(maps), plain(maps), rtol=1e-4, atol=1e-5)
