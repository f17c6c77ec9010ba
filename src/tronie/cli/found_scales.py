"""What `tronie redistribute` tells of a search for crops."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from tronie.cli.terminal import print_json, print_table, say, tell

if TYPE_CHECKING:  # for the checker only: torch need not be here
    from tronie.data.scale_matching import ScaleFit
    from tronie.lab.training.redistribute.samples import FoundScales

TOP = 3
"""Runs of scales that the table shows, besides the published ones."""


def tell_scales(found: FoundScales, *, data: Path, out: Path, json: bool) -> None:
    """The nearest runs beside the published ones, and what to do with the first."""
    from tronie.lab.training.redistribute.samples import listed

    best, size = found.fits[0], found.recipe.size
    words = ["tronie", "train", found.recipe.trained_by, "--data", str(data)]
    words += ["--out", f"{out}-trained", "--set", f"data.sizes={size}"]
    if found.recipe.labels:
        words += ["--set", f"data.labels={found.recipe.labels}"]
    command = shlex.join([*words, "--set", f"data.scales={listed(best.scales)}"])
    if json:
        print_json(
            {
                "photographs": found.photographs,
                "faces": found.faces,
                "size": size,
                "canvas": found.recipe.canvas,
                "best": _told(best),
                "plain": _told(found.plain),
                "released": _told(found.released),
                "folder": out,
                "next": command,
            }
        )
        return
    shown = [("nearest", best), *(("", fit) for fit in found.fits[1:TOP])]
    shown += [("plain", found.plain), ("released", found.released)]
    half = found.target[49]
    tell(
        f"{found.photographs} photographs, {found.faces} faces to be found, half of them below "
        f"{half:.0f} pixels at a long side of {found.recipe.canvas}"
    )
    print_table(
        ("", "scales", "apart", "faces/crop", "half below", "below 32 px"),
        [
            (
                name,
                _span(fit),
                f"{fit.octaves:.2f} octaves",
                f"{fit.faces_per_crop:.1f}",
                f"{fit.percentiles[49]:.0f} px",
                f"{fit.small:.0%}",
            )
            for name, fit in shown
        ],
    )
    ends = {found.recipe.own(found.recipe.grid[end]) for end in (0, -1)}
    if ends & set(best.scales) or best.octaves > min(found.plain.octaves, found.released.octaves):
        say("the nearest scales are at an end of the grid; others may be nearer: --set grid=...")
    tell("plain: the list before sample redistribution; released: that of its authors")
    tell(f"{out} holds all {len(found.fits)} runs of scales in scales.csv, and scales.svg")
    tell(f"next: {command}")


def _span(fit: ScaleFit) -> str:
    return f"{fit.scales[0]:g} to {fit.scales[-1]:g}"


def _told(fit: ScaleFit) -> dict[str, object]:
    return {
        "scales": list(fit.scales),
        "octaves": fit.octaves,
        "larger_octaves": fit.larger,
        "faces_per_crop": fit.faces_per_crop,
        "below_32_px": fit.small,
    }
