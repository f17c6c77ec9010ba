"""What makes one SCRFD differ from another, as a record and as a name that spells it out.

    BLOCK - BLOCKS - WIDTHS - nNECK - hHEADxDEPTH - gnGROUPS or bn [- kps] [- unscaled]

    basic-3.5.3.2-24.48.48.80-n24-h64x2-gn16            SCRFD-2.5G
    depthwise-2.3.2.6-16.16.40.72.152.288-n16-h64x2-gn16    SCRFD-0.5G, two widths of the stem first

A name says all of a layout and each layout has one name, so that a network that was searched can
be asked for wherever one that was released can: `scrfd-` and the name.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, cast

from tronie.errors import BadInput

Block = Literal["basic", "bottleneck", "depthwise"]
BLOCKS: tuple[Block, ...] = ("basic", "bottleneck", "depthwise")
STAGES = 4
MOST_BLOCKS, MOST_WIDTH, MOST_DEPTH = 64, 4096, 16
"""Of a stage, of a map, and of the tower: more is a slip of the keyboard."""

_FORM = (
    "BLOCK-BLOCKS-WIDTHS-nNECK-hHEADxDEPTH-gnGROUPS or bn, then -kps and -unscaled where they hold"
)
_NUMBER = "(0|[1-9][0-9]{0,8})"
_NUMBERS = rf"{_NUMBER}(?:\.{_NUMBER})*"
_NAME = re.compile(
    rf"(?P<block>{'|'.join(BLOCKS)})-(?P<blocks>{_NUMBERS})-(?P<widths>{_NUMBERS})"
    rf"-n(?P<neck>{_NUMBER})-h(?P<head>{_NUMBER})x(?P<depth>{_NUMBER})"
    rf"-(?:gn(?P<groups>{_NUMBER})|bn)(?P<points>-kps)?(?P<unscaled>-unscaled)?"
)


@dataclass(frozen=True, kw_only=True)
class Layout:
    """What was searched, and what goes with it."""

    block: Block
    blocks: tuple[int, ...]
    """Units of each of the four stages."""
    widths: tuple[int, ...]
    """Channels of each stage; before them, for depthwise, the two of the stem."""
    neck: int
    """Channels of the pyramid."""
    head: int
    """Channels of the tower."""
    depth: int = 2
    """Convolutions of the tower."""
    groups: int | None = 16
    """Of the tower's group norm; None: batch norm, and a head for each level."""
    points: bool = False
    scaled: bool = True
    """Whether each level has a learned number that its distances are multiplied with."""


def spelled_out(layout: Layout) -> str:
    """The name of a layout, without the `scrfd-` before it.

    Example:
        >>> spelled_out(
        ...     Layout(block="basic", blocks=(1, 1, 1, 1), widths=(8, 8, 8, 8), neck=8, head=16)
        ... )
        'basic-1.1.1.1-8.8.8.8-n8-h16x2-gn16'
    """
    blocks, widths = (".".join(map(str, numbers)) for numbers in (layout.blocks, layout.widths))
    norm = "bn" if layout.groups is None else f"gn{layout.groups}"
    return (
        f"{layout.block}-{blocks}-{widths}-n{layout.neck}-h{layout.head}x{layout.depth}-{norm}"
        f"{'-kps' if layout.points else ''}{'' if layout.scaled else '-unscaled'}"
    )


def read_layout(name: str) -> Layout:
    """The layout of a name, the inverse of `spelled_out`.

    Raises:
        BadInput: the name is of another form, or no network has such a layout.
    """
    found = _NAME.fullmatch(name)
    if found is None:
        raise BadInput(f"{name!r} spells out no SCRFD; the form is {_FORM}")
    layout = Layout(
        block=cast(Block, found["block"]),
        blocks=_numbers(found["blocks"]),
        widths=_numbers(found["widths"]),
        neck=int(found["neck"]),
        head=int(found["head"]),
        depth=int(found["depth"]),
        groups=None if found["groups"] is None else int(found["groups"]),
        points=found["points"] is not None,
        scaled=found["unscaled"] is None,
    )
    fault = layout_fault(layout)
    if fault:
        raise BadInput(f"{name!r} cannot be built: {fault}")
    return layout


def layout_fault(layout: Layout) -> str:
    """Why no network has this layout, as a clause; "" where one has."""
    depthwise = layout.block == "depthwise"
    stem = stem_widths(layout.block)
    if len(layout.blocks) != STAGES:
        return f"there are {STAGES} stages, and it has blocks for {len(layout.blocks)}"
    if len(layout.widths) != stem + STAGES:
        before = " and two before them for the stem" if depthwise else ""
        return (
            f"{layout.block} takes {STAGES} widths{before}, and it has {len(layout.widths)} in all"
        )
    for what, numbers, least, most in (
        ("blocks of a stage", layout.blocks, 1, MOST_BLOCKS),
        ("channels of a map", (*layout.widths, layout.neck, layout.head), 1, MOST_WIDTH),
        ("channels of a stem", layout.widths[:1], 1 if depthwise else 2, MOST_WIDTH),
        ("convolutions of the tower", (layout.depth,), 1, MOST_DEPTH),
    ):
        for number in numbers:
            if not least <= number <= most:
                return f"{what} are {least} to {most}, and it has {number}"
    return _groups_fault(layout)


def stem_widths(block: Block) -> int:
    """Widths of the stem that a layout's widths begin with."""
    return 2 if block == "depthwise" else 0


def _groups_fault(layout: Layout) -> str:
    """Why the tower's norms, over its channels and for depthwise the neck's too, have no groups."""
    if layout.groups is None:
        return ""
    for width in (layout.neck, layout.head) if layout.block == "depthwise" else (layout.head,):
        if layout.groups < 1 or width % layout.groups:
            return f"{width} channels of the tower cannot be cut into {layout.groups} equal groups"
    return ""


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(map(int, text.split(".")))
