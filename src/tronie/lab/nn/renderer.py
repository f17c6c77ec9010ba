r"""A small differentiable renderer: colored triangles under one light, seen through a pinhole.

    camera    q = R (p - location)          R of a rotation vector, in radians
              screen = focal * (q_x, q_y) / q_z         in [-1, 1], x right and y down
    nearest   of the triangles over the middle of a pixel, the one of least depth
    color     the corners' lit colors, by their share at that point of the triangle:
              s_i = (w_i / z_i) / sum_j (w_j / z_j)     w by area on the screen
    light     lit = color * (ambient + light * max(0, n . l))      n of a vertex: the sum of its
              triangles' normals, weighted by area; l toward the light

Which triangle a pixel shows is decided without gradient; its color depends smoothly on all that is
handed in: places, colors, camera and light. Hence outlines give no gradient, and a pixel that shows
nothing gives none at all.

Triangles with a corner nearer than 0.01 to the plane of the camera are left out.

Source: Deng et al., RetinaFace, CVPR 2020, arXiv:1905.00641, section 3.2, for what a camera (7
numbers) and an illumination (9) are; the rest is textbook.
Differs from the paper: a camera's pose is read as a rotation vector, of which it does not say.

Letters: N meshes, V vertices, T triangles, S side of the picture, P points that show something.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from tronie.lab.nn.assign import NONE, strongest

NEAR = 0.01
_LEAST_AREA = 1e-12
_LEAST_LENGTH = 1e-12


@dataclass(frozen=True, eq=False, kw_only=True)
class Camera:
    """Where one looks from, and how."""

    location: Tensor
    """(N, 3)"""
    pose: Tensor
    """(N, 3) rotation vector, radians; 0 looks along z."""
    focal: Tensor
    """(N,) half sides of the picture at depth 1, inverted."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Light:
    """A point light, and light from everywhere."""

    location: Tensor
    """(N, 3)"""
    color: Tensor
    """(N, 3)"""
    ambient: Tensor
    """(N, 3)"""


def render(
    vertices: Tensor, colors: Tensor, triangles: Tensor, *, camera: Camera, light: Light, size: int
) -> tuple[Tensor, Tensor]:
    """Pictures (N, 3, S, S) of meshes, 0 where nothing is; and (N, S, S) bool where something is.

    Args:
        vertices: (N, V, 3).
        colors: (N, V, 3).
        triangles: (T, 3) int64, of all meshes; corners ordered so that (b - a) x (c - a) points
            out.
        size: S.
    """
    screen, depth = project(vertices, camera)
    lit = colors * shading(vertices, triangles, light)
    points = _pixel_points(size, like=screen)
    chosen = torch.full((len(vertices), len(points)), NONE, device=screen.device)
    for n in range(len(vertices)):
        chosen[n] = _nearest(screen[n], depth[n], triangles, points)
    mesh, point = (chosen != NONE).nonzero(as_tuple=True)
    corners = triangles[chosen[mesh, point]]
    at = (mesh[:, None], corners)
    shares = _area_shares(screen[at], points[point]) / depth[at]
    shares = shares / shares.sum(dim=1, keepdim=True)
    shown = (shares[..., None] * lit[at]).sum(dim=1)
    picture = lit.new_zeros(len(vertices), len(points), 3).index_put((mesh, point), shown)
    covered = (chosen != NONE).unflatten(1, (size, size))
    return picture.transpose(1, 2).unflatten(2, (size, size)), covered


def project(vertices: Tensor, camera: Camera) -> tuple[Tensor, Tensor]:
    """Places on the screen (N, V, 2) and depths (N, V); behind the camera, of its plane's sign."""
    x, y, z = camera.pose.unbind(dim=1)
    nought = torch.zeros_like(x)
    turn = torch.stack([nought, -z, y, z, nought, -x, -y, x, nought], dim=1).unflatten(1, (3, 3))
    rotation = torch.linalg.matrix_exp(turn)
    seen = (vertices - camera.location[:, None]) @ rotation.transpose(1, 2)
    depth = seen[..., 2]
    away = torch.where(depth.abs() < NEAR, NEAR, depth)
    return camera.focal[:, None, None] * seen[..., :2] / away[..., None], depth


def shading(vertices: Tensor, triangles: Tensor, light: Light) -> Tensor:
    """(N, V, 3) what colors of vertices are multiplied with."""
    a, b, c = (vertices[:, triangles[:, n]] for n in range(3))
    across = torch.linalg.cross(b - a, c - a)
    normals = torch.zeros_like(vertices)
    for n in range(3):
        normals = normals.index_add(1, triangles[:, n], across)
    toward = light.location[:, None] - vertices
    cosine = (_unit(normals) * _unit(toward)).sum(dim=-1, keepdim=True).clamp_min(0)
    return light.ambient[:, None] + light.color[:, None] * cosine


@torch.no_grad()
def _nearest(screen: Tensor, depth: Tensor, triangles: Tensor, points: Tensor) -> Tensor:
    """(S^2,) the triangle that each point shows, or NONE; of one mesh, screen (V, 2), depth (V,).

    Only points in the rectangle around a triangle are looked at: most triangles are small.
    """
    size = math.isqrt(len(points))
    corners, far = screen[triangles], depth[triangles]
    pixels = ((corners + 1) * size - 1) / 2
    low = pixels.amin(dim=1).ceil().clamp(0, size)
    high = pixels.amax(dim=1).floor().clamp(-1, size - 1)
    seen = (far > NEAR).all(dim=1) & (high >= low).all(dim=1)
    index = seen.nonzero()[:, 0]
    low, high = low[index], high[index]
    steps = torch.arange(int((high - low).amax().item()) + 1 if len(index) else 0).to(low)
    column, row = (low[:, n, None] + steps for n in range(2))
    within = (row <= high[:, 1:])[:, :, None] & (column <= high[:, :1])[:, None, :]
    n, down, across = within.nonzero(as_tuple=True)
    point = (row[n, down] * size + column[n, across]).long()
    triangle = index[n]
    shares = _area_shares(corners[triangle], points[point])
    nearness = (shares / far[triangle]).sum(dim=1).masked_fill((shares < 0).any(dim=1), -1)
    shown = nearness > 0
    return strongest(point[shown], nearness[shown], triangle[shown], len(points))


def _area_shares(corners: Tensor, points: Tensor) -> Tensor:
    """(..., 3) of points (..., 2) in triangles (..., 3, 2): they sum up to 1, and inside are >= 0.

    Of a triangle without area all are -1.
    """
    a, b, c = ((corners[..., n, :] - points) for n in range(3))
    area = _cross(b - a, c - a)
    flat = area.abs() < _LEAST_AREA
    shares = torch.stack([_cross(b, c), _cross(c, a), _cross(a, b)], dim=-1)
    shares = shares / area.masked_fill(flat, 1)[..., None]
    return shares.masked_fill(flat[..., None], -1)


def _cross(a: Tensor, b: Tensor) -> Tensor:
    return a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]


def _unit(vectors: Tensor) -> Tensor:
    square = vectors.square().sum(dim=-1, keepdim=True)
    return vectors / square.clamp_min(_LEAST_LENGTH).sqrt()


def _pixel_points(size: int, *, like: Tensor) -> Tensor:
    """(S^2, 2) the middles of the pixels on the screen, row by row."""
    middle = (torch.arange(size, device=like.device, dtype=like.dtype) + 0.5) * (2 / size) - 1
    down, across = torch.meshgrid(middle, middle, indexing="ij")
    return torch.stack([across, down], dim=-1).flatten(0, 1)
