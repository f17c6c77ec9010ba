r"""RetinaFace's dense branch: each face is drawn from a code, and compared with its own pixels.

    at an anchor   1x1 to 128 numbers of shape and texture, 7 of the camera, 9 of the light
    mesh           `tronie.lab.nn.mesh_decoder`, of the first
    picture        `tronie.lab.nn.renderer`, 32 x 32 pixels
    loss           1 / (W H)  sum over pixels of |drawn - seen|, the three colors added up

What is seen is the square of the anchor, brought to 32 x 32. Pixels that the mesh does not cover,
and those outside of the photograph, count nothing. Pictures are taken to be around 0, -1 black and
1 white, as the lab's training makes them; colors of the mesh are from 0 to 1.

A camera of zeros looks along z at a face that fills the square; a light of zeros stands by the
camera, 0.3 from there and 0.7 from everywhere.

It is a teacher: only in training, and only for up to 16 of a batch's anchors that answer for a
face, spread evenly over them in their order, since drawing is slow. Decoding, evaluation and
export know nothing of it.

Source: Deng et al., RetinaFace, CVPR 2020, arXiv:1905.00641, section 3.2, equation 3.
Differs from the paper: a mesh of our own, learned with the detector instead of from scans before;
numbers are added to the camera and light above; few anchors at a time.

Letters: B pictures, A anchors, n anchors at a place, N anchors that are drawn, C channels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import grid_sample

from tronie.lab.nn.detector import Outputs
from tronie.lab.nn.mesh_decoder import CODE, MeshDecoder
from tronie.lab.nn.renderer import Camera, Light, render

CAMERA, LIGHT = 7, 9
SIZE = 32
MOST = 16
DISTANCE, FOCAL = 4.0, 3.6
LIGHT_COLOR, AMBIENT = 0.3, 0.7
SPREAD = 0.01


@dataclass(eq=False, kw_only=True)
class DenseOutputs(Outputs):
    """In training: besides the answers, what faces are drawn from and compared with."""

    images: Tensor
    """(B, 3, H, W)"""
    maps: tuple[Tensor, ...]
    """(B, C, H_n, W_n) of each level, as the head sees them."""


class DenseBranch(nn.Module):
    """The 1x1, shared by all levels, and the decoder."""

    def __init__(self, width: int, *, per_cell: int) -> None:
        super().__init__()
        self.per_cell = per_cell
        self.numbers = nn.Linear(width, per_cell * (CODE + CAMERA + LIGHT))
        nn.init.normal_(self.numbers.weight, std=SPREAD)
        nn.init.zeros_(self.numbers.bias)
        self.decoder = MeshDecoder()

    def loss(
        self,
        outputs: DenseOutputs,
        picture: Tensor,
        anchor: Tensor,
        *,
        centers: Tensor,
        sides: Tensor,
    ) -> Tensor:
        """The mean loss of the anchors that are drawn, a scalar; 0 where there are none.

        Args:
            picture: (P,) the picture of each anchor that answers for a face.
            anchor: (P,) its row.
            centers: (P, 2) pixels.
            sides: (P,) pixels.
        """
        kept = evenly(len(picture), MOST, device=picture.device)
        picture, anchor = picture[kept], anchor[kept]
        maps = outputs.maps
        with torch.autocast(maps[0].device.type, enabled=False):
            told = self.numbers(places_of(maps, picture, anchor // self.per_cell).float())
            told = told.unflatten(1, (self.per_cell, -1))
            told = told[torch.arange(len(kept), device=kept.device), anchor % self.per_cell]
            drawn, covered = self.draw(told)
            seen, inside = crops(
                outputs.images.float(), picture, centers[kept], sides[kept], size=SIZE
            )
            apart = (drawn - (seen + 1) / 2).abs().sum(dim=1) * (covered & inside)
        return apart.sum() / (max(1, len(kept)) * SIZE**2)

    def draw(self, numbers: Tensor) -> tuple[Tensor, Tensor]:
        """Pictures (N, 3, 32, 32) and where they show the face, of numbers (N, 144)."""
        code, camera, light = numbers.split([CODE, CAMERA, LIGHT], dim=1)
        vertices, colors = self.decoder(code)
        eye = vertices.new_tensor([0.0, 0.0, -DISTANCE])
        return render(
            vertices,
            colors,
            self.decoder.triangles,
            camera=Camera(
                location=eye + camera[:, :3],
                pose=camera[:, 3:6],
                focal=FOCAL * camera[:, 6].clamp(-1, 1).exp(),
            ),
            light=Light(
                location=eye + light[:, :3],
                color=LIGHT_COLOR + light[:, 3:6],
                ambient=AMBIENT + light[:, 6:],
            ),
            size=SIZE,
        )


def evenly(count: int, most: int, *, device: torch.device) -> Tensor:
    """Up to `most` of the numbers below `count`, at equal distances from the first on."""
    kept = min(count, most)
    return torch.arange(kept, device=device) * count // max(1, kept)


def places_of(maps: Sequence[Tensor], picture: Tensor, place: Tensor) -> Tensor:
    """(N, C) what maps (B, C, H_n, W_n) hold at places, counted level by level, row by row."""
    found = maps[0].new_zeros(len(picture), maps[0].shape[1])
    first = 0
    for map_ in maps:
        rows = map_.flatten(2)
        here = ((place >= first) & (place < first + rows.shape[2])).nonzero()[:, 0]
        values = rows[picture[here], :, place[here] - first]
        found = found.index_put((here,), values)
        first += rows.shape[2]
    return found


def crops(
    images: Tensor, picture: Tensor, centers: Tensor, sides: Tensor, *, size: int
) -> tuple[Tensor, Tensor]:
    """Squares (N, 3, size, size) of pictures by bilinear samples, and (N, size, size) bool where
    they lie inside.

    Args:
        images: (B, 3, H, W).
        picture: (N,) which of them.
        centers: (N, 2) x y in pixels, where the first pixel ends at 1.
        sides: (N,) pixels.
    """
    height, width = images.shape[2:]
    step = (torch.arange(size, device=images.device, dtype=images.dtype) + 0.5) / size - 0.5
    x = centers[:, :1] + sides[:, None] * step
    y = centers[:, 1:] + sides[:, None] * step
    grid = torch.stack(
        [
            (2 * x / width - 1)[:, None].expand(-1, size, -1),
            (2 * y / height - 1)[:, :, None].expand(-1, -1, size),
        ],
        dim=-1,
    )
    inside = (grid.abs() <= 1).all(dim=-1)
    seen = grid_sample(images[picture], grid, padding_mode="border", align_corners=False)
    return seen, inside
