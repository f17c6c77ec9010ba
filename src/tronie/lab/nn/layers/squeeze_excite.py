r"""Squeeze and excite: each channel times a weight that the whole picture decides.

    squeeze   z_c = mean of channel c over all places
    excite    w = sigmoid(B act(A z + a) + b),   A: C -> C / r,  B: C / r -> C
    scale     y_c = w_c x_c

A few thousand parameters a unit and next to no multiplications, for a little accuracy.

Letters: N images, C channels, r the reduction.

Source: Hu et al., "Squeeze-and-Excitation Networks", CVPR 2018, arXiv:1709.01507, equations 2
to 4. Differs from the paper: PReLU in the middle, as the face networks have it.
"""

from __future__ import annotations

from torch import Tensor, nn


class SqueezeExcite(nn.Module):
    """(N, C, H, W) to the same shape, each channel scaled by a number in (0, 1)."""

    def __init__(self, channels: int, *, reduction: int) -> None:
        super().__init__()
        squeezed = channels // reduction
        self.weights = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            nn.Conv2d(channels, squeezed, 1),
            nn.PReLU(squeezed),
            nn.Conv2d(squeezed, channels, 1),
            nn.Sigmoid(),
        )

    def forward(self, images: Tensor) -> Tensor:
        """The channels, weighed."""
        scaled: Tensor = images * self.weights(images)
        return scaled
