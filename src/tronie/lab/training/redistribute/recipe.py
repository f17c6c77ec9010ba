"""A frozen description of a search for a detector under a budget of FLOPs.

    RECIPE = RedistributionRecipe(template="scrfd-mobilenet-0.5g", blocks=("depthwise",),
                                  flops=0.5e9, proxy=DetectionRecipe(...), ...)

Nothing here says where data lie, how long it may take or how many processes share the work: the
same recipe draws the same networks anywhere.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from tronie.errors import BadInput
from tronie.lab.nn.detector_names import detector_parts
from tronie.lab.nn.detectors.scrfd import layout_of
from tronie.lab.nn.scrfd_layout import BLOCKS, Block, Layout
from tronie.lab.training.detection_judging import HELD_OUT
from tronie.lab.training.detection_recipe import DetectionRecipe
from tronie.lab.training.recipe import MOST_SEED, expect_between
from tronie.lab.training.redistribute.space import Budget
from tronie.lab.training.settings import differences

SCRFD = "scrfd"
MOST_CANDIDATES, MOST_STEPS = 10_000, 1 << 24
MAY_CHANGE = ("backbones", "networks", "bootstrap_draws", "trained_by")
"""Settings that a search that goes on may be given another value for."""


@dataclass(frozen=True, kw_only=True)
class RedistributionRecipe:
    """A search in two steps: for a backbone, then for a whole network around the best of them."""

    template: str
    """An SCRFD that it starts from: step 1 keeps its neck, its head and its norm."""
    blocks: tuple[Block, ...]
    """Of the backbones that are drawn: basic, bottleneck or depthwise."""
    flops: float
    """What a candidate costs, by the published rule on a picture of VGA size."""
    tolerance: float = 0.02
    """Of the budget, more or less."""
    ratio_tolerance: float = 0.1
    """Of each stage's FLOPs in those of the stem, more or less than the best backbone's; step 2."""
    backbones: int = 64
    """Candidates of step 1."""
    networks: int = 32
    """Candidates of step 2; 0 leaves it out."""
    seed: int = 0
    """Of the draws. What a candidate is trained with is drawn from the proxy's own seed, the same
    for all."""
    steps: int = 300
    """For which each candidate is trained, in place of the proxy's epochs."""
    score: Literal["held-out", "easy", "medium", "hard"] = "held-out"
    """The average precision that the proxy's validation gives, by which candidates are compared."""
    bootstrap_draws: int = 10_000
    """Of a quarter of the candidates, for the range of the best shares."""
    trained_by: str = "detection/scrfd_500m"
    """The recipe that the winner should be trained by in full."""
    proxy: DetectionRecipe
    """How a candidate is trained and judged; its detector is each candidate in turn."""

    def __post_init__(self) -> None:
        for name, least, most in (
            ("backbones", 1, MOST_CANDIDATES),
            ("networks", 0, MOST_CANDIDATES),
            ("steps", 1, MOST_STEPS),
            ("seed", 0, MOST_SEED),
            ("bootstrap_draws", 100, 1_000_000),
        ):
            expect_between(name, getattr(self, name), least, most)
        if not 0 < self.flops <= 1e15:
            raise BadInput(f"flops must be above 0 and at most 1e15; got {self.flops:g}")
        for name in ("tolerance", "ratio_tolerance"):
            if not 0 < getattr(self, name) < 1:
                raise BadInput(f"{name} is a share in (0, 1); got {getattr(self, name):g}")
        if not self.blocks or len(set(self.blocks)) != len(self.blocks):
            raise BadInput(
                f"blocks needs one or more of {', '.join(BLOCKS)}, none twice; got "
                f"{', '.join(self.blocks) or 'none'}"
            )
        self._check_score()

    def _check_score(self) -> None:
        if self.score == HELD_OUT and not self.proxy.data.held_out:
            raise BadInput(
                "score=held-out compares candidates on photographs that none is trained on; set "
                "proxy.data.held_out, as in proxy.data.held_out=0.15"
            )
        if self.score != HELD_OUT and not self.proxy.validation.truth:
            raise BadInput(
                f"score={self.score} is a number of WIDER FACE; set proxy.validation.truth to the "
                "folder of its .mat files"
            )

    @property
    def budget(self) -> Budget:
        """What a candidate may cost."""
        return Budget(
            flops=self.flops, tolerance=self.tolerance, ratio_tolerance=self.ratio_tolerance
        )


def template_layout(recipe: RedistributionRecipe) -> Layout:
    """The layout of the template.

    Raises:
        NotFound: no such detector.
        BadInput: it is no SCRFD, or cannot be built.
    """
    key, variant = detector_parts(recipe.template)
    if key != SCRFD:
        raise BadInput(
            f"template must be an SCRFD, whose stages, neck and head are drawn; got "
            f"{recipe.template}"
        )
    return layout_of(variant)


def proxy_of(recipe: RedistributionRecipe, detector: str, *, images: int) -> DetectionRecipe:
    """How one candidate is trained on so many photographs: for exactly `recipe.steps` steps."""
    proxy = recipe.proxy
    epochs = (recipe.steps - 0.5) * proxy.batch_size / images  # a run rounds its steps up
    return replace(proxy, detector=detector, epochs=epochs)


def fixed_differences(old: RedistributionRecipe, new: RedistributionRecipe) -> list[str]:
    """The differences that a search cannot go on across."""
    return [told for told in differences(old, new) if not told.startswith(MAY_CHANGE)]
