"""A frozen description of a detector's training, as `recipe` has that of a recognizer.

    RECIPE = DetectionRecipe(detector="scrfd-0.5g", schedule=Schedule(peak_lr=0.01), ...)
    variant = replace(RECIPE, data=replace(RECIPE.data, scales=(0.3, 0.45, 0.6, 0.8, 1.0)))

The same settings may change while a run goes on (`recipe.MAY_CHANGE`). Sizes of batches are of all
processes together.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from tronie.errors import BadInput
from tronie.lab.training.recipe import MOST_THREADS, Checkpoint, check_run, expect_between
from tronie.lab.training.schedule import Optimizer, Schedule

MOST_SIDE = 4096
"""Pixels of a crop, and of the canvas a detector is judged on."""
MOST_SCALE, MOST_GIB = 100.0, 1 << 20

REDISTRIBUTED = (0.3, 0.45, 0.6, 0.8, 1.0, 1.2, 1.4, 1.6, 1.8, 2.0)
"""Scales of SCRFD's sample redistribution; those up to 1 are what it is compared with."""


@dataclass(frozen=True, kw_only=True)
class DetectionData:
    """Which photographs are trained on, and what is cut out of them."""

    labels: str = ""
    """The labels below --data; empty: labels.txt, or what else is found there."""
    sizes: tuple[int, ...] = (640,)
    """Side of the square crops in pixels; of several, one is drawn for each step."""
    crop: Literal["square", "scale-enhanced", "data-anchor"] = "square"
    """How a crop is chosen: of the photograph's short side times one of `scales`; around a face
    that is brought to the size of a level of the pyramid (MogFace); or around one that is brought
    to another anchor's size (PyramidBox)."""
    scales: tuple[float, ...] = REDISTRIBUTED
    """Sides of a square crop, as parts of the short side of its photograph; what is above 1 reaches
    over the border, which shows faces smaller than they are."""
    flip: float = 0.5
    """How often a crop is mirrored, in [0, 1]."""
    photometric: float = 1.0
    """How often brightness, contrast, saturation and hue are changed, in [0, 1]."""
    least_side: float = 0.0
    """Faces whose longer side is shorter than this in a crop, in pixels, are neither learned nor
    taken for background."""
    pad_value: int = 0
    """What lies outside a photograph in a crop, 0 to 255: black, as where the detector is judged
    and used. SCRFD's authors crop with 128 and judge with black."""
    held_out: float = 0.0
    """Share of the photographs that are kept for validation, in [0, 1); the same whatever the seed,
    since a hash of the name decides."""
    unreadable: Literal["refuse", "skip"] = "refuse"
    """What a photograph that cannot be read does: end the run by name, or give way to the next."""
    threads: int = 4
    """Threads that decode and crop, in each process."""
    keep_gib: float = 1.0
    """Decoded photographs that are kept in memory by each process, in GiB: those that came first.
    Decoding takes longer than cropping."""

    def __post_init__(self) -> None:
        for name in ("flip", "photometric"):
            if not 0 <= getattr(self, name) <= 1:
                raise BadInput(f"data.{name} is a probability in [0, 1]; got {getattr(self, name)}")
        if not self.sizes:
            raise BadInput("data.sizes needs the side of a crop in pixels, as in data.sizes=640")
        for side in self.sizes:
            expect_between("data.sizes", side, 32, MOST_SIDE)
        if not self.scales or not all(0 < scale <= MOST_SCALE for scale in self.scales):
            raise BadInput(
                f"data.scales needs parts of the short side, above 0 and at most {MOST_SCALE:g}; "
                f"got {', '.join(f'{scale:g}' for scale in self.scales) or 'none'}"
            )
        if not 0 <= self.held_out < 1:
            raise BadInput(f"data.held_out is a share in [0, 1); got {self.held_out}")
        expect_between("data.least_side", self.least_side, 0, MOST_SIDE)
        expect_between("data.pad_value", self.pad_value, 0, 255)
        expect_between("data.threads", self.threads, 1, MOST_THREADS)
        expect_between("data.keep_gib", self.keep_gib, 0, MOST_GIB)


@dataclass(frozen=True, kw_only=True)
class DetectionValidation:
    """What the detector is judged by while it learns. Files are named below --data, or as /path.

    With `truth`, easy, medium and hard by WIDER FACE's own rules. Photographs that `data.held_out`
    keeps are judged by the same average precision over all their faces. With neither, nothing is.
    """

    every_steps: int = 2000
    """Steps between two validations; there is always one at the end."""
    truth: str = ""
    """Folder of WIDER FACE's four .mat files."""
    photos: str = ""
    """Folder of the photographs that are judged, EVENT/PHOTO.jpg at their original size, unpacked
    or in a .zip or .tar; empty: --data itself."""
    size: int = 640
    """Side of the canvas that a photograph is fitted into, in pixels."""
    least_side: float = 8.0
    """Of the photographs held out: faces whose longer side is shorter than this, in pixels where
    the longer side of the photograph has 640, are not asked for."""
    batch: int = 8
    """Photographs at a time."""

    def __post_init__(self) -> None:
        expect_between("validation.every_steps", self.every_steps, 1, None)
        expect_between("validation.size", self.size, 32, MOST_SIDE)
        if self.size % 32:
            raise BadInput(f"validation.size must be a multiple of 32; got {self.size}")
        expect_between("validation.least_side", self.least_side, 0, None)
        expect_between("validation.batch", self.batch, 1, MOST_SIDE)
        if self.photos and not self.truth:
            raise BadInput(
                f"validation.photos={self.photos} needs validation.truth, the folder of the .mat "
                "files that tell where their faces are"
            )


@dataclass(frozen=True, kw_only=True)
class DetectionRecipe:
    """A detector: a network that answers at every anchor, and the crops that it learns from."""

    detector: str
    """Name and variant, as `tronie.lab.nn.detector` builds them."""
    epochs: float = 640.0
    """How often a crop is cut from each photograph."""
    batch_size: int = 64
    """Crops a step, over all processes and all parts."""
    accumulate: int = 1
    """Parts that a step is computed in, one after another, to need less memory."""
    schedule: Schedule
    """Learning rates."""
    optimizer: Optimizer = field(default_factory=Optimizer)
    """What turns gradients into steps; there are no class centers here."""
    precision: Literal["float32", "bf16", "fp16"] = "float32"
    """In which the network computes; weights and loss are float32 always."""
    norm_statistics: Literal["local", "global"] = "local"
    """Batch normalization over the crops of one process, or over those of all."""
    ema: float = 0.0
    """Part of the moving average of weights and statistics that a step leaves as it is, in [0, 1);
    validation and export take the average. 0: there is none."""
    seed: int = 0
    """Of the first weights, the order of the photographs and all that is drawn."""
    start_from: str = ""
    """Folder of a run whose detector this one begins with; empty: with fresh weights."""
    bad_steps: int = 20
    """Steps in a row with a loss or gradient that is no number, after which a run ends."""
    log_every: int = 10
    """Steps between two lines of the log."""
    data: DetectionData = field(default_factory=DetectionData)
    """The photographs."""
    checkpoint: Checkpoint = field(default_factory=Checkpoint)
    """When the state is written."""
    validation: DetectionValidation = field(default_factory=DetectionValidation)
    """What it is judged by."""

    def __post_init__(self) -> None:
        check_run(self)
        if not 0 <= self.ema < 1:
            raise BadInput(f"ema must be 0 or more and below 1; got {self.ema}")
        plain = Optimizer()
        for name in ("head_weight_decay", "head_lr_ratio"):
            value = getattr(self.optimizer, name)
            if value != getattr(plain, name):
                raise BadInput(
                    f"optimizer.{name} is of class centers, which a detector does not have; got "
                    f"{value:g}. Leave it out"
                )
