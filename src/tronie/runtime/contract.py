"""What a model file promises: the picture it takes, and what its outputs mean.

    network input = (pixel - mean) / std,  per channel in the order `color`, pixel in 0..255

A contract comes from the zoo entry whose SHA-256 is the file's; else from a file beside the
model (`model.onnx` and `model.toml`); else it is inferred from the file's inputs and
outputs, and then `assumed` says in words what was assumed.

The embedding contract id names everything that decides whether two embeddings may be
compared: model, pixels, alignment, detector and its canvas, mirrored copy. A gallery carries it.
"""

from __future__ import annotations

import hashlib
import json
import math
import tomllib
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from tronie.catalog import entries, load
from tronie.errors import BadFile, BadModel
from tronie.runtime.session import Session, TensorSpec

DETECTOR_FORMATS = "tronie.runtime.detectors"
ALIGNMENT = "five-point-112"
LARGEST = 8192
"""Pixels of a side, or numbers of an embedding, beyond which a contract is a mistake."""


@dataclass(frozen=True, kw_only=True)
class Contract:
    """What is promised. Widths and heights in pixels, color order of the three channels."""

    kind: str
    """"detector" or "embedder"."""
    format: str
    """Detectors: an entry of runtime/detectors. Embedders: "embedding"."""
    color: str = "rgb"
    """"rgb" or "bgr"."""
    mean: tuple[float, float, float] = (127.5, 127.5, 127.5)
    std: tuple[float, float, float] = (127.5, 127.5, 127.5)
    width: int = 112
    height: int = 112
    """The crop an embedder takes; the canvas a detector works on unless another is asked."""
    dimension: int | None = None
    """Numbers in an embedding."""
    score_threshold: float = 0.5
    nms_threshold: float = 0.4
    nms_pixel_offset: float = 0.0
    """1.0 where the published suppression counts pixels as x2 - x1 + 1."""
    assumed: tuple[str, ...] = field(default=(), compare=False)
    """What was not stated anywhere and had to be assumed, one sentence each."""

    def __post_init__(self) -> None:
        if self.kind not in ("detector", "embedder"):
            raise BadFile(f"contract kind must be detector or embedder; got {self.kind!r}")
        if self.kind == "embedder" and self.format != "embedding":
            raise BadFile(f"an embedder's format must be embedding; got {self.format!r}")
        if self.color not in ("rgb", "bgr"):
            raise BadFile(f"contract color must be rgb or bgr; got {self.color!r}")
        if not (_three(self.mean) and _three(self.std) and min(self.std) > 0):
            raise BadFile(
                f"contract mean and std need three values each, std above 0; "
                f"got {self.mean} and {self.std}"
            )
        sizes = (self.width, self.height, self.dimension or 1)
        if not all(type(n) is int and 1 <= n <= LARGEST for n in sizes):
            raise BadFile(
                f"contract width, height and dimension must be whole numbers from 1 to {LARGEST}; "
                f"got {self.width!r}, {self.height!r} and {self.dimension!r}"
            )
        fractions = (self.score_threshold, self.nms_threshold)
        if not all(_is_number(v) and 0 <= v <= 1 for v in fractions):
            raise BadFile(f"contract thresholds must lie in [0, 1]; got {fractions}")
        if self.nms_pixel_offset not in (0, 1):
            raise BadFile(f"contract nms_pixel_offset must be 0 or 1; got {self.nms_pixel_offset}")

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return asdict(self)


def contract_from_table(table: dict[str, Any], *, name: str) -> Contract:
    """Read the [contract] table of a TOML file; `name` is what errors call the file.

    Raises:
        BadFile: an unknown key, a missing one, or a value that is not allowed.
    """
    known = {f.name for f in fields(Contract)} - {"assumed"}
    given = set(table) if isinstance(table, dict) else set()
    if given - known or not {"kind", "format"} <= given:
        raise BadFile(
            f"{name}: [contract] needs kind and format, and knows {', '.join(sorted(known))}; "
            f"got {', '.join(sorted(given)) or 'nothing'}"
        )
    values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in table.items()}
    try:
        return Contract(**values)
    except BadFile as fault:
        raise BadFile(f"{name}: {fault}") from None


def contract_beside(model: Path) -> Contract | None:
    """The contract in `NAME.toml` beside `NAME.onnx`, or None where there is no such file.

    Raises:
        BadFile: the file is no TOML, or has no usable [contract] table.
    """
    file = model.with_suffix(".toml")
    if not file.is_file():
        return None
    try:
        table = tomllib.loads(file.read_text("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as fault:
        raise BadFile(f"{file.name} cannot be read as TOML: {fault}") from fault
    return contract_from_table(table.get("contract", {}), name=file.name)


def infer_contract(session: Session) -> Contract:
    """What the inputs and outputs of a model tell, as the field's packs are laid out.

    Raises:
        BadModel: neither a detector format we know nor one embedding a crop.
    """
    for key in entries(DETECTOR_FORMATS):
        if load(DETECTOR_FORMATS, key, "matches")(session.outputs):
            contract: Contract = load(DETECTOR_FORMATS, key, "CONTRACT")
            canvas = session.input.shape[2:]
            height, width = (canvas[0] or contract.height), (canvas[1] or contract.width)
            words = f"{session.name}: taken for a detector of the {key} format by its outputs"
            return replace(contract, width=width, height=height, assumed=(words,))
    dimension = _embedding_dimension(session.outputs)
    if dimension is None:
        raise BadModel(
            f"model {session.name} is neither an embedder (one output (N, D)) nor a detector "
            f"of a known format ({', '.join(entries(DETECTOR_FORMATS))}); its outputs: "
            + ", ".join(f"{o.name} {o.shape}" for o in session.outputs)
            + f". State what it is in {session.name}.toml beside it"
        )
    inside = session.normalizes_inside
    words = "raw 0..255 (it normalizes inside)" if inside else "(pixel - 127.5) / 127.5"
    return Contract(
        kind="embedder",
        format="embedding",
        color="rgb",
        mean=(0.0, 0.0, 0.0) if inside else (127.5, 127.5, 127.5),
        std=(1.0, 1.0, 1.0) if inside else (127.5, 127.5, 127.5),
        width=session.input.shape[3] or 112,
        height=session.input.shape[2] or 112,
        dimension=dimension,
        assumed=(
            f"{session.name}: input taken to be RGB, {words}; "
            f"state it in {session.name}.toml if that is wrong",
        ),
    )


def check_contract(session: Session, contract: Contract) -> None:
    """Hold the open model to its contract.

    Raises:
        BadModel: a picture size, a number of outputs or a dimension that is not as promised.
    """
    _, channels, height, width = session.input.shape
    if channels not in (3, None):
        raise BadModel(f"model {session.name} takes {channels} channels; 3 were promised")
    asked = (contract.height, contract.width)
    if contract.kind == "embedder":
        if (height or asked[0], width or asked[1]) != asked:
            raise BadModel(
                f"model {session.name} takes {width}x{height} crops; its contract says "
                f"{contract.width}x{contract.height}"
            )
        found, promised = _embedding_dimension(session.outputs), contract.dimension
        flat = len(session.outputs) == 1 and len(session.outputs[0].shape) in (0, 2)
        if not flat or (found or promised) is None or (promised or found) != (found or promised):
            raise BadModel(
                f"model {session.name} gives {[o.shape for o in session.outputs]}; its contract "
                f"says one embedding of {contract.dimension} numbers"
            )
    elif not load(DETECTOR_FORMATS, contract.format, "matches")(session.outputs):
        raise BadModel(
            f"model {session.name} has {len(session.outputs)} outputs that are not of the "
            f"{contract.format} format its contract states"
        )


def embedding_contract_id(
    embedder: Contract,
    embedder_sha256: str,
    *,
    detector: Contract,
    detector_sha256: str,
    canvas: tuple[int, int],
    flip: bool,
) -> str:
    """One string that is equal exactly where embeddings may be compared.

    Form: `tronie-1-` and 32 hexadecimal digits of a SHA-256 over the model's own SHA-256, the
    pixels it is given, the alignment, the detector's SHA-256, its pixels and its `canvas`
    (width, height), and whether the mirrored crop is averaged in. The canvas counts because
    the five points move with it, and the crop with them. Thresholds are left out: they decide
    which faces are found, not where. Engine and precision are left out too, so that a gallery
    made on one machine can be read on another; where they are not those of the calibration,
    `verification.calibration_warnings` says so.
    """
    told = {
        "embedder": embedder_sha256,
        "pixels": _pixels(embedder),
        "crop": [embedder.width, embedder.height, ALIGNMENT],
        "detector": detector_sha256,
        "detector pixels": _pixels(detector),
        "canvas": [*map(int, canvas)],
        "flip": flip,
    }
    digest = hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()
    return f"tronie-1-{digest[:32]}"


def _pixels(contract: Contract) -> list[Any]:
    return [contract.color, [*map(float, contract.mean)], [*map(float, contract.std)]]


def _embedding_dimension(outputs: tuple[TensorSpec, ...]) -> int | None:
    if len(outputs) != 1 or len(outputs[0].shape) != 2:
        return None
    return outputs[0].shape[1]


def _three(values: object) -> bool:
    return isinstance(values, tuple) and len(values) == 3 and all(map(_is_number, values))


def _is_number(value: object) -> bool:
    return type(value) in (int, float) and math.isfinite(value)  # type: ignore[arg-type]
