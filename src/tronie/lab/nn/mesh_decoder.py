"""From a code of shape and texture to a colored mesh, by convolutions on its graph.

    code (128)    fully connected to 64 channels at each vertex of a grid of 5 x 5
    three times   enlarge the grid to (2 s - 1)^2, Chebyshev convolution, ReLU
    last          Chebyshev convolution to six numbers a vertex at 33 x 33: what is added to its
                  place on the face of `tronie.lab.nn.mesh_topology`, and to a color of 1/2

The last layer starts near zero, so that a fresh decoder gives that face, in grey.

Source: Deng et al., RetinaFace, CVPR 2020, arXiv:1905.00641, section 3.2: a joint code of shape and
texture in 128 numbers, decoded as CoMA does (Ranjan et al., ECCV 2018, arXiv:1807.10267).
Differs from the paper: the mesh, the widths, which are not published, and that the decoder is not
learned from scans before, but with the detector.

Letters: N codes, V vertices.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

from tronie.lab.nn.layers.graph_conv import ChebyshevConv
from tronie.lab.nn.mesh_topology import (
    enlarging,
    face_vertices,
    grid_triangles,
    scaled_laplacian,
)

CODE = 128
WIDTHS = (64, 48, 32, 16)
SMALLEST = 5
ORDER = 3
SPREAD = 0.01


class MeshDecoder(nn.Module):
    """Codes (N, 128) to vertices (N, V, 3) and colors (N, V, 3), where 0 is black and 1 white."""

    triangles: Tensor
    """(T, 3) rows of vertices."""
    face: Tensor
    """(V, 3) where vertices are before anything is added."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(CODE, SMALLEST**2 * WIDTHS[0])
        self.convs = nn.ModuleList(
            ChebyshevConv(inner, outer, order=ORDER) for inner, outer in pairwise(WIDTHS)
        )
        self.last = ChebyshevConv(WIDTHS[-1], 6, order=ORDER)
        nn.init.normal_(self.last.mix.weight, std=SPREAD)
        nn.init.zeros_(self.last.mix.bias)
        side = SMALLEST
        for n in range(len(self.convs)):
            self._keep(f"enlarging_{n}", torch.as_tensor(enlarging(side)))
            side = 2 * side - 1
            self._keep(f"laplacian_{n}", torch.as_tensor(scaled_laplacian(side).copy()))
        self._keep("triangles", torch.as_tensor(grid_triangles(side)))
        self._keep("face", torch.as_tensor(face_vertices(side)))

    def forward(self, codes: Tensor) -> tuple[Tensor, Tensor]:
        """Vertices and colors."""
        values = self.first(codes).unflatten(-1, (-1, WIDTHS[0])).relu()
        for n, conv in enumerate(self.convs):
            larger = self.get_buffer(f"enlarging_{n}") @ values
            values = conv(larger, self.get_buffer(f"laplacian_{n}")).relu()
        answer = self.last(values, self.get_buffer(f"laplacian_{len(self.convs) - 1}"))
        return self.face + answer[..., :3], 0.5 + answer[..., 3:]

    def _keep(self, name: str, values: Tensor) -> None:
        """Values follow from the code, so that they are moved but not saved."""
        self.register_buffer(name, values, persistent=False)
