"""Squeeze and excite against its equations in numpy."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from tronie.lab.nn.layers.squeeze_excite import SqueezeExcite  # noqa: E402 - only where torch is

pytestmark = pytest.mark.lab
torch.set_num_threads(1)


def paper(x, block):
    """Equations 2 to 4, with PReLU in the middle."""
    _, first, prelu, second, _ = block.weights
    z = x.mean(axis=(2, 3))
    squeezed = z @ first.weight.detach().numpy()[:, :, 0, 0].T + first.bias.detach().numpy()
    squeezed = np.where(squeezed > 0, squeezed, prelu.weight.detach().numpy() * squeezed)
    excited = squeezed @ second.weight.detach().numpy()[:, :, 0, 0].T
    w = 1 / (1 + np.exp(-(excited + second.bias.detach().numpy())))
    return x * w[:, :, None, None]


def test_it_follows_the_equations():
    torch.manual_seed(0)
    block = SqueezeExcite(32, reduction=4)
    x = torch.randn(3, 32, 5, 4)
    np.testing.assert_allclose(block(x).detach().numpy(), paper(x.numpy(), block), atol=1e-6)


def test_a_channel_is_scaled_everywhere_alike():
    block = SqueezeExcite(16, reduction=16)
    x = torch.rand(1, 16, 6, 6) + 0.5
    ratio = (block(x) / x).detach()
    torch.testing.assert_close(ratio, ratio[:, :, :1, :1].expand_as(ratio))
    assert bool(((ratio > 0) & (ratio < 1)).all())


def test_it_has_the_parameters_of_two_small_layers_with_biases():
    numbers = sum(p.numel() for p in SqueezeExcite(64, reduction=16).parameters())
    assert numbers == (64 * 4 + 4) + 4 + (4 * 64 + 64)
