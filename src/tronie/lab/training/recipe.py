"""A frozen description of a run: all that its result depends on, but for the data itself.

    RECIPE = RecognitionRecipe(backbone="iresnet-50", margin=Entry(name="arcface"), ...)
    variant = replace(RECIPE, margin=Entry(name="cosface"))

Nothing here says where data lie or how many processes share the work: the same recipe gives the
same run on any of them. Sizes of batches are of all processes together.

Some settings may change while a run goes on (`MAY_CHANGE`): they move no weight by themselves,
or decide only what comes later. All others are fixed by the weights that are there.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, Protocol

from tronie.errors import BadInput
from tronie.lab.training.schedule import MOST_EPOCHS, Optimizer, Schedule
from tronie.lab.training.settings import Entry, differences, entry_of

MOST_NUMBERS, MOST_IMAGES, MOST_THREADS = 1 << 16, 1 << 24, 1024
"""Of an embedding, of a step, and of a process."""
MOST_SEED = (1 << 63) - 1

MARGINS = "tronie.lab.nn.margins"
HEADS = "tronie.lab.nn.heads"

MAY_CHANGE = (
    "epochs",
    "schedule.",
    "optimizer.momentum",
    "optimizer.weight_decay",
    "optimizer.head_weight_decay",
    "optimizer.head_lr_ratio",
    "optimizer.decay_only_matrices",
    "optimizer.clip_norm",
    "precision",
    "sharded_backbone",
    "log_every",
    "checkpoint.",
    "validation.",
    "bad_steps",
    "data.threads",
    "data.keep_gib",
    "data.unreadable",
)
"""Settings, or groups of them, that `--resume` may be given another value for."""


@dataclass(frozen=True, kw_only=True)
class Data:
    """Which images are trained on, and what is done to them."""

    form: Literal["found", "folder", "recordio", "shards"] = "found"
    """What --data is: one folder per identity, a RecordIO archive, packed shards, or whichever
    of them is found there."""
    people: str = ""
    """A list of people below --data, in the form of LFW's peopleDevTrain.txt; only they are
    trained on."""
    min_images: int = 1
    """Identities with fewer images are left out."""
    together: int = 1
    """Images of one identity that stand side by side in the order of an epoch, and so in a batch.
    Triplets need 2 or more."""
    flip: float = 0.5
    """How often an image is mirrored, in [0, 1]."""
    move: float = 0.0
    """How often it is shifted, scaled and turned a little, in [0, 1]."""
    degrade: float = 0.0
    """How often each fault of cameras and small files befalls it, in [0, 1]: coarse pixels, JPEG,
    and one of three blurs."""
    mask: float = 0.0
    """How often a face wears a drawn mask, in [0, 1]; the same face always the same mask."""
    photometric: float = 0.0
    """How often brightness, contrast and color are changed, in [0, 1]."""
    unreadable: Literal["refuse", "skip"] = "refuse"
    """What an image that cannot be read does: end the run by name, or give way to the next."""
    threads: int = 4
    """Threads that decode, in each process."""

    def __post_init__(self) -> None:
        rates = {
            f"data.{name}": getattr(self, name)
            for name in ("flip", "move", "degrade", "mask", "photometric")
        }
        for name, rate in rates.items():
            if not 0 <= rate <= 1:
                raise BadInput(f"{name} is a probability in [0, 1]; got {rate}")
        counts = {"min_images": self.min_images, "threads": self.threads, "together": self.together}
        for name, count in counts.items():
            if count < 1:
                raise BadInput(f"data.{name} must be 1 or more; got {count}")
        if self.threads > MOST_THREADS:
            raise BadInput(f"data.threads must be at most {MOST_THREADS}; got {self.threads}")


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """When the state of a run is written."""

    every_steps: int = 1000
    """Steps between two checkpoints; there is always one at the end."""
    every_s: float = 900.0
    """Seconds after which one is written whatever the steps; 0: by steps alone."""
    keep: int = 2
    """How many of the last are kept."""

    def __post_init__(self) -> None:
        if self.every_steps < 1 or self.every_s < 0 or self.keep < 1:
            raise BadInput(
                "checkpoint needs every_steps >= 1, every_s >= 0 and keep >= 1; got "
                f"{self.every_steps}, {self.every_s} and {self.keep}"
            )


@dataclass(frozen=True, kw_only=True)
class Validation:
    """What the network is judged by while it learns. Files are named below --data, or as /path."""

    every_steps: int = 2000
    """Steps between two validations; there is always one at the end where a set is named."""
    bins: tuple[str, ...] = ()
    """Pairs in InsightFace's .bin files: ten-fold accuracy of each."""
    pairs: str = ""
    """A pairs file in the form of LFW's pairsDevTest.txt, its images below --data or `photos`."""
    threshold_pairs: str = ""
    """Another, on which the threshold for `pairs` is chosen: pairsDevTrain.txt."""
    photos: str = ""
    """Folder of the aligned crops NAME/NAME_0001 that pairs are of, below --data."""
    flip: bool = True
    """Add the embedding of the mirror image, as the field's numbers do."""

    def __post_init__(self) -> None:
        if self.every_steps < 1:
            raise BadInput(f"validation.every_steps must be 1 or more; got {self.every_steps}")
        if bool(self.pairs) != bool(self.threshold_pairs):
            raise BadInput(
                "validation.pairs and validation.threshold_pairs are named together: the "
                "threshold must not be chosen on the pairs it is judged by"
            )


@dataclass(frozen=True, kw_only=True)
class Teacher:
    """A network that a student is taught by; see `tronie.lab.training.distillation`."""

    run: str = ""
    """Folder of the run that trained it; empty: no teacher, or a model."""
    model: str = ""
    """The teacher as an ONNX file, its contract beside it; run on the CPU. It has no class centers
    to learn from."""
    margin_weight: float = 1.0
    """Of the student's own loss by its margin."""
    angular: float = 0.0
    """Weight of the squared distance of both unit embeddings."""
    l2: float = 0.0
    """Weight of the squared distance of both embeddings as they are."""
    kl: float = 0.0
    """Weight of the divergence of both distributions over the teacher's classes."""
    temperature: float = 4.0
    """Both distributions are softened by it."""
    copy_centers: bool = False
    """The student's class centers are the teacher's, and stay where they are."""

    def __post_init__(self) -> None:
        weights = (self.margin_weight, self.angular, self.l2, self.kl)
        if min(weights) < 0 or self.temperature <= 0:
            raise BadInput(
                "teacher needs weights of 0 or more and a temperature above 0; got "
                f"{weights} and {self.temperature}"
            )
        if self.run and self.model:
            raise BadInput(
                f"a student has one teacher; got teacher.run={self.run} and "
                f"teacher.model={self.model}"
            )
        if self.model and (self.kl or self.copy_centers):
            raise BadInput(
                "teacher.kl and teacher.copy_centers need the teacher's class centers, which a "
                f"model file does not hold; got teacher.model={self.model}. Name its run by "
                "teacher.run, or set teacher.angular or teacher.l2"
            )

    @property
    def is_named(self) -> bool:
        """Whether there is one."""
        return bool(self.run or self.model)

    @property
    def is_heard(self) -> bool:
        """Whether anything is learned from one."""
        return bool(self.angular or self.l2 or self.kl or self.copy_centers)


@dataclass(frozen=True, kw_only=True)
class Energy:
    """Class centers repel each other; see `tronie.lab.nn.losses.hyperspherical_energy` (MHE)."""

    weight: float = 0.0
    """Of the energy beside the head's loss; 0: they do not."""
    power: Literal[0, 1, 2] = 1
    """Of the distance that the energy falls with; 0: its logarithm."""
    distance: Literal["euclidean", "angular"] = "euclidean"
    """Between two centers."""
    space: Literal["full", "half"] = "full"
    """Whether a center repels the opposite of each other one too: half."""

    def __post_init__(self) -> None:
        if self.weight < 0:
            raise BadInput(f"energy.weight must be 0 or more; got {self.weight}")


@dataclass(frozen=True, kw_only=True)
class Triplets:
    """Embeddings of one person drawn together, of two apart; see `tronie.lab.nn.losses.triplet`."""

    weight: float = 0.0
    """Of their loss; 0: there are none. data.together brings pairs of one person into a batch."""
    margin: float = 0.3
    """What the other person must be farther by, in squared distance."""
    farthest: float = 4.0
    """Pairs of one person at a larger squared distance are left out: they may be mislabeled."""
    margin_weight: float = 1.0
    """Of the loss against class centers beside it; 0: triplets alone."""

    def __post_init__(self) -> None:
        numbers = (self.weight, self.margin, self.farthest, self.margin_weight)
        if min(numbers) < 0:
            raise BadInput(f"triplets needs nothing below 0; got {numbers}")


class Judged(Protocol):
    """What a recipe says of its validation, whatever the task."""

    @property
    def every_steps(self) -> int:
        """Steps between two."""


class Recipe(Protocol):
    """What a recipe of any task that is trained says of its run; for the words see below."""

    @property
    def epochs(self) -> float: ...
    @property
    def batch_size(self) -> int: ...
    @property
    def accumulate(self) -> int: ...
    @property
    def schedule(self) -> Schedule: ...
    @property
    def optimizer(self) -> Optimizer: ...
    @property
    def precision(self) -> Literal["float32", "bf16", "fp16"]: ...
    @property
    def norm_statistics(self) -> Literal["local", "global"]: ...
    @property
    def seed(self) -> int: ...
    @property
    def start_from(self) -> str: ...
    @property
    def bad_steps(self) -> int: ...
    @property
    def log_every(self) -> int: ...
    @property
    def checkpoint(self) -> Checkpoint: ...
    @property
    def validation(self) -> Judged: ...


@dataclass(frozen=True, kw_only=True)
class RecognitionRecipe:
    """A recognizer: a backbone that embeds, a margin, and a head that holds the class centers."""

    backbone: str
    """Name and variant, as `tronie list backbones` prints them."""
    embedding_size: int = 512
    """Numbers in an embedding."""
    margin: Entry = field(
        default=Entry(name="arcface"),
        metadata=entry_of(MARGINS, "Margin", given=("classes",)),
    )
    """What the target class must be ahead by."""
    head: Entry = field(
        default=Entry(name="full-softmax"),
        metadata=entry_of(HEADS, "Head", given=("classes", "dimension", "margin", "seed", "group")),
    )
    """Where the class centers are, and which of them take part in a step."""
    epochs: float = 20.0
    """How often each image is seen."""
    batch_size: int = 1024
    """Images a step, over all processes and all parts."""
    accumulate: int = 1
    """Parts that a step is computed in, one after another, to need less memory."""
    schedule: Schedule
    """Learning rates."""
    optimizer: Optimizer = field(default_factory=Optimizer)
    """What turns gradients into steps."""
    precision: Literal["float32", "bf16", "fp16"] = "float32"
    """In which the backbone computes; weights, head and loss are float32 always."""
    sharded_backbone: bool = False
    """The backbone's weights lie over the processes instead of in each (FSDP2): for networks whose
    weights, gradients and optimizer state do not fit beside their activations, ViT-L and larger.
    One process holds all of it either way."""
    norm_statistics: Literal["local", "global"] = "local"
    """Batch normalization over the images of one process, or over those of all: then a run does
    not depend on how many there are."""
    fixed_last_scale: bool = False
    """The scale of the last normalization stays at 1, as ArcFace's authors have it."""
    seed: int = 0
    """Of the first weights, the order of the images and all that is drawn."""
    start_from: str = ""
    """Folder of a run whose backbone this one begins with; empty: with fresh weights."""
    bad_steps: int = 20
    """Steps in a row with a loss or gradient that is no number, after which a run ends."""
    log_every: int = 10
    """Steps between two lines of the log."""
    data: Data = field(default_factory=Data)
    """The images."""
    checkpoint: Checkpoint = field(default_factory=Checkpoint)
    """When the state is written."""
    validation: Validation = field(default_factory=Validation)
    """What it is judged by."""
    teacher: Teacher = field(default_factory=Teacher)
    """Whom it learns from."""
    energy: Energy = field(default_factory=Energy)
    """What spreads the class centers."""
    triplets: Triplets = field(default_factory=Triplets)
    """What compares embeddings with each other."""

    @property
    def margin_weight(self) -> float:
        """Of the head's loss, where others are beside it."""
        weight = self.teacher.margin_weight if self.teacher.is_heard else 1.0
        return weight * (self.triplets.margin_weight if self.triplets.weight else 1.0)

    @property
    def are_centers_still(self) -> bool:
        """Whether no class center moves: they are a teacher's, or nothing is compared with them."""
        return self.teacher.copy_centers or not self.margin_weight

    def __post_init__(self) -> None:
        check_run(self)
        expect_between("embedding_size", self.embedding_size, 1, MOST_NUMBERS)
        if self.triplets.weight and self.data.together < 2:
            raise BadInput(
                "triplets.weight asks for images of one person in a batch, and data.together is "
                f"{self.data.together}; set data.together=4, or another number above 1"
            )
        if self.energy.weight and self.are_centers_still:
            raise BadInput(
                "energy.weight asks class centers to move, which teacher.copy_centers or a "
                "margin_weight of 0 forbids; leave one of them out"
            )


def check_run(recipe: Recipe) -> None:
    """What every recipe is held to.

    Raises:
        BadInput: a number is out of its range, or the parts of a batch cannot be equal.
    """
    for name, least, most in (
        ("batch_size", 2, MOST_IMAGES),
        ("accumulate", 1, MOST_IMAGES),
        ("bad_steps", 1, None),
        ("log_every", 1, None),
        ("seed", 0, MOST_SEED),
    ):
        expect_between(name, getattr(recipe, name), least, most)
    if not 0 < recipe.epochs <= MOST_EPOCHS:
        raise BadInput(f"epochs must be above 0 and at most {MOST_EPOCHS:g}; got {recipe.epochs}")
    if recipe.batch_size % recipe.accumulate:
        raise BadInput(
            f"a batch of {recipe.batch_size} cannot be cut into {recipe.accumulate} equal parts"
        )


def expect_between(name: str, number: float, least: float, most: float | None) -> None:
    """See that a setting is in its range.

    Raises:
        BadInput: it is not.
    """
    if number < least:
        raise BadInput(f"{name} must be {least} or more; got {number}")
    if most is not None and number > most:
        raise BadInput(f"{name} must be at most {most}; got {number}")


def fixed_differences(old: Recipe, new: Recipe) -> list[str]:
    """The differences that a run cannot be continued across, as `differences` tells them."""
    return [told for told in differences(old, new) if not told.startswith(MAY_CHANGE)]
