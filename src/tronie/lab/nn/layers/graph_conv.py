r"""Chebyshev convolution: filters on the vertices of a mesh, by what lies up to K - 1 edges away.

    y = sum_k  T_k(L~) x W_k  +  b          k from 0 to K - 1
    T_0 = 1     T_1 = L~     T_k = 2 L~ T_(k-1) - T_(k-2)

L~ is the mesh's Laplacian, scaled to eigenvalues in [-1, 1]; see `tronie.lab.nn.mesh_topology`.

Letters: N meshes, V vertices, C channels, K order.

Source: Defferrard et al., NIPS 2016, arXiv:1606.09375, equations 4 and 5; on faces Ranjan et al.,
CoMA, ECCV 2018, arXiv:1807.10267.
Differs from the paper: the Laplacian is a full matrix, since meshes here are small.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class ChebyshevConv(nn.Module):
    """(N, V, inner) to (N, V, outer); K inner outer + outer parameters."""

    def __init__(self, inner: int, outer: int, *, order: int) -> None:
        super().__init__()
        self.order = order
        self.mix = nn.Linear(order * inner, outer)

    def forward(self, values: Tensor, laplacian: Tensor) -> Tensor:
        """The filtered values.

        Args:
            values: (N, V, inner).
            laplacian: (V, V), scaled.
        """
        terms = [values]
        for k in range(1, self.order):
            step = laplacian @ terms[-1]
            terms.append(step if k == 1 else 2 * step - terms[-2])
        answer: Tensor = self.mix(torch.cat(terms, dim=-1))
        return answer
