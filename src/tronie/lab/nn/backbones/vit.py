"""ViT: a transformer over 144 patches of the face, as Partial FC trains it.

    patches    9x9 pixels with stride 9, 12 x 12 of them (4 pixels on the right and below are
               not seen) -> width d, plus a learned position
    block      x + attention(norm(x)), then x + mlp(norm(x)); 8 heads; mlp widens by 4, ReLU6
    training   a part of the patches is left out of each picture; behind the blocks their places
               hold one learned token. Whole branches are left out at random, more so deeper
    head       norm -> the 144 tokens laid side by side -> fully connected to d -> BN ->
               fully connected to D -> BN

There is no class token. Laying the tokens side by side costs 144 d^2 parameters and keeps the
place of each, which matters where every face is aligned.

Variants: t, s, b, l, with d 256, 512, 512, 768 and 12, 12, 24, 24 blocks.

Letters: N images, T tokens, d width, D embedding.

Source: Dosovitskiy et al., "An Image is Worth 16x16 Words", ICLR 2021, arXiv:2010.11929, for
the blocks; An et al., "Killing Two Birds with One Stone" (Partial FC), CVPR 2022,
arXiv:2203.15565, whose release has these sizes and this head; He et al., arXiv:2111.06377, for
leaving patches out; Huang et al., arXiv:1603.09382, for leaving branches out.
Differs from the release: attention sums in float32 inside torch's fused kernel and not by an
explicit cast. Parts left out are 0.1 of the patches, and of the branches 0 to 0.1 by depth;
the release varies them by size from 0.05 on. They are drawn from torch's generator.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn

from tronie.lab.nn.backbone import Variant

PATCH = 9
TOKENS = 144
HEADS = 8
MLP_RATIO = 4
MASKED = 0.1
DROPPED = 0.1
POSITION_STD = 0.02
HEAD_EPS = 2e-5


class Layout(NamedTuple):
    """Width of a token and number of blocks."""

    width: int
    depth: int


class Attention(nn.Module):
    """(N, T, d) to the same: each token a mean of all, weighed by softmax(q k / sqrt(d / 8))."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.head_width = width // HEADS
        self.query_key_value = nn.Linear(width, 3 * width, bias=False)
        self.out = nn.Linear(width, width)

    def forward(self, tokens: Tensor) -> Tensor:
        """What each token attends to."""
        split = self.query_key_value(tokens).unflatten(2, (3, HEADS, self.head_width))
        query, key, value = split.permute(2, 0, 3, 1, 4).unbind(0)
        seen = nn.functional.scaled_dot_product_attention(
            query, key, value, scale=self.head_width**-0.5
        )
        answer: Tensor = self.out(seen.transpose(1, 2).flatten(2))
        return answer


class DropBranch(nn.Module):
    """In training, the branch of a picture becomes zero with this probability, the rest grows."""

    def __init__(self, probability: float) -> None:
        super().__init__()
        self.probability = probability

    def forward(self, branch: Tensor) -> Tensor:
        """The branch (N, T, d); the same where nothing trains."""
        if not self.training or self.probability == 0:
            return branch
        kept = 1 - self.probability
        return branch * torch.bernoulli(branch.new_full((len(branch), 1, 1), kept)) / kept


class Block(nn.Module):
    """(N, T, d) to the same."""

    def __init__(self, width: int, *, dropped: float) -> None:
        super().__init__()
        self.attention = nn.Sequential(nn.LayerNorm(width), Attention(width), DropBranch(dropped))
        self.mlp = nn.Sequential(
            nn.LayerNorm(width),
            nn.Linear(width, MLP_RATIO * width),
            nn.ReLU6(),
            nn.Linear(MLP_RATIO * width, width),
            DropBranch(dropped),
        )

    def forward(self, tokens: Tensor) -> Tensor:
        """The tokens, each having seen all."""
        tokens = tokens + self.attention(tokens)
        answer: Tensor = tokens + self.mlp(tokens)
        return answer


class VisionTransformer(nn.Module):
    """(N, 3, 112, 112) to (N, D), any length."""

    def __init__(self, layout: Layout, *, embedding_size: int) -> None:
        super().__init__()
        width, depth = layout
        self.patches = nn.Conv2d(3, width, PATCH, PATCH)
        self.positions = nn.Parameter(torch.empty(1, TOKENS, width))
        self.unseen = nn.Parameter(torch.empty(1, 1, width))
        self.blocks = nn.Sequential(
            *(Block(width, dropped=DROPPED * n / (depth - 1)) for n in range(depth))
        )
        self.norm = nn.LayerNorm(width)
        self.head = nn.Sequential(
            nn.Linear(TOKENS * width, width, bias=False),
            nn.BatchNorm1d(width, eps=HEAD_EPS),
            nn.Linear(width, embedding_size, bias=False),
            nn.BatchNorm1d(embedding_size, eps=HEAD_EPS),
        )
        nn.init.trunc_normal_(self.positions, std=POSITION_STD)
        nn.init.trunc_normal_(self.unseen, std=POSITION_STD)
        for part in self.modules():
            if isinstance(part, nn.Linear):
                nn.init.trunc_normal_(part.weight, std=POSITION_STD)
                if part.bias is not None:
                    nn.init.zeros_(part.bias)

    def forward(self, images: Tensor) -> Tensor:
        """Embeddings (N, D)."""
        tokens = self.patches(images).flatten(2).transpose(1, 2) + self.positions
        if self.training:
            tokens = self._with_patches_left_out(tokens)
        else:
            tokens = self.norm(self.blocks(tokens))
        embeddings: Tensor = self.head(tokens.flatten(1))
        return embeddings

    def _with_patches_left_out(self, tokens: Tensor) -> Tensor:
        """The blocks see a random part of each picture; the places of the rest are filled after."""
        n, t, width = tokens.shape
        order = torch.rand(n, t, device=tokens.device).argsort(dim=1)
        seen = order[:, : t - int(MASKED * t)].unsqueeze(2).expand(-1, -1, width)
        answer = self.norm(self.blocks(tokens.gather(1, seen)))
        filled = self.unseen.to(answer.dtype).expand(n, t, width)
        return filled.scatter(1, seen, answer)


def build(variant: str, *, embedding_size: int | None = None) -> nn.Module:
    """The network of that variant with fresh weights; see `tronie.lab.nn.backbone`."""
    return VisionTransformer(
        LAYOUTS[variant], embedding_size=embedding_size or VARIANTS[variant].embedding_size
    )


LAYOUTS = {
    "t": Layout(256, 12),
    "s": Layout(512, 12),
    "b": Layout(512, 24),
    "l": Layout(768, 24),
}
VARIANTS: Mapping[str, Variant] = {
    "t": Variant(
        parameters=19_137_792,
        flops_lfr=2_753_633_536,
        macs=1_504_882_688,
        size_bytes=76_623_953,
        checkpoint_bytes=76_557_312,
        source="An et al., arXiv:2203.15565: 1.5 GMACs",
    ),
    "s": Variant(
        parameters=76_023_296,
        flops_lfr=10_980_834_304,
        macs=5_746_548_736,
        size_bytes=304_167_066,
        checkpoint_bytes=304_101_376,
        source="An et al., arXiv:2203.15565: 5.7 GMACs",
    ),
    "b": Variant(
        parameters=113_833_472,
        flops_lfr=21_849_816_064,
        macs=11_437_170_688,
        size_bytes=455_475_477,
        checkpoint_bytes=455_342_080,
        source="An et al., arXiv:2203.15565: 11.4 GMACs",
    ),
    "l": Variant(
        parameters=255_684_352,
        flops_lfr=49_138_801_408,
        macs=25_337_794_560,
        size_bytes=1_022_880_071,
        checkpoint_bytes=1_022_747_648,
        source="An et al., arXiv:2203.15565: 25.3 GMACs",
    ),
}
