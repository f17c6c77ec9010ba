"""Chebyshev convolution beside Chebyshev's polynomials."""

from __future__ import annotations

import math

import pytest

torch = pytest.importorskip("torch")

from tronie.lab.nn.cost import parameters  # noqa: E402 - only where torch is
from tronie.lab.nn.layers.graph_conv import ChebyshevConv  # noqa: E402

pytestmark = pytest.mark.lab
torch.set_num_threads(1)


def test_on_a_cycle_each_wave_is_scaled_by_its_polynomial():
    """There L~ has eigenvalue -cos a for the wave of frequency a, and T_k(cos x) = cos k x."""
    count, order = 12, 5
    neighbor = torch.eye(count, dtype=torch.float64).roll(1, 0)
    laplacian = 2 * torch.eye(count, dtype=torch.float64) - neighbor - neighbor.T
    scaled = 2 * laplacian / 4 - torch.eye(count, dtype=torch.float64)
    conv = ChebyshevConv(1, 1, order=order).double()
    weights = torch.randn(order, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        conv.mix.weight.copy_(weights[None])
        conv.mix.bias.fill_(0.5)
        for frequency in range(count // 2):
            a = 2 * math.pi * frequency / count
            wave = torch.cos(a * torch.arange(count, dtype=torch.float64))[None, :, None]
            x = math.pi - a  # cos x = -cos a
            factor = sum(w * math.cos(k * x) for k, w in enumerate(weights.tolist()))
            torch.testing.assert_close(conv(wave, scaled), factor * wave + 0.5)


def test_of_order_one_it_is_a_layer_on_each_vertex_alone():
    conv = ChebyshevConv(3, 4, order=1)
    values = torch.rand(2, 5, 3)
    with torch.no_grad():
        torch.testing.assert_close(conv(values, torch.rand(5, 5)), conv.mix(values))
    assert parameters(conv) == 1 * 3 * 4 + 4


def test_renaming_vertices_renames_the_answer():
    torch.manual_seed(0)
    conv, values, order = ChebyshevConv(2, 3, order=4), torch.rand(1, 7, 2), torch.randperm(7)
    edges = torch.rand(7, 7)
    laplacian = edges + edges.T
    with torch.no_grad():
        straight = conv(values, laplacian)[:, order]
        renamed = conv(values[:, order], laplacian[order][:, order])
    torch.testing.assert_close(renamed, straight, rtol=1e-4, atol=1e-4)
