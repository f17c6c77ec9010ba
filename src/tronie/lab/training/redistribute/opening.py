"""How a search is opened: what it is held to, which data it has, and what is drawn for it.

A search that is begun writes down what it is asked; one that goes on is held to that, and to its
data. What was drawn stays as it is written there, whatever this version of tronie would draw.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

from tronie.errors import BadInput, NotEnoughData
from tronie.lab.nn.scrfd_layout import Layout, spelled_out
from tronie.lab.training import detection_run
from tronie.lab.training.redistribute import space
from tronie.lab.training.redistribute.recipe import (
    SCRFD,
    RedistributionRecipe,
    fixed_differences,
    template_layout,
)
from tronie.lab.training.redistribute.search_folder import (
    Asked,
    Candidate,
    expect_free,
    is_search,
    read_asked,
)
from tronie.lab.training.run_folder import held
from tronie.lab.training.settings import override


@contextmanager
def opened(
    name: str, recipe: RedistributionRecipe, changes: Sequence[str], *, data: Path, out: Path
) -> Iterator[Asked]:
    """What is asked, with the folder held for as long as it is open."""
    if is_search(out):
        with held(out):
            asked = _resumed(read_asked(out), name, changes, out)
            images, fingerprint = _look_at(asked.recipe, data)
            if fingerprint != asked.fingerprint:
                raise BadInput(
                    f"{data} is not what {out} was begun with, which was {asked.folder} with "
                    f"{asked.images} photographs to train on; found {images}. Restore it, or name "
                    "another --out"
                )
            yield asked
        return
    recipe = override(recipe, changes)
    template = template_layout(recipe)
    with held(out):
        expect_free(out)
        images, fingerprint = _look_at(recipe, data)
        asked = Asked(
            name=name,
            recipe=recipe,
            folder=str(data.resolve()),
            images=images,
            fingerprint=fingerprint,
        )
        yield replace(asked, backbones=drawn(asked, space.backbones(template, recipe.blocks), 1))


def _resumed(asked: Asked, name: str, changes: Sequence[str], out: Path) -> Asked:
    if asked.name != name:
        raise BadInput(
            f"{out} holds a search by {asked.name}, and {name} was asked for; name another --out"
        )
    recipe = override(asked.recipe, changes)
    if fixed := fixed_differences(asked.recipe, recipe):
        raise BadInput(
            f"{out} cannot go on with {'; '.join(fixed)}: its candidates were drawn and trained "
            "without. Name another --out"
        )
    asked = replace(asked, recipe=recipe)
    draw = space.backbones(template_layout(recipe), recipe.blocks)
    return replace(asked, backbones=drawn(asked, draw, 1))


def _look_at(recipe: RedistributionRecipe, data: Path) -> tuple[int, str]:
    """See that candidates can be trained and judged; photographs to train on, and what they are."""
    with ExitStack() as closing:
        opened = detection_run.TRADE.open(recipe.proxy, data, closing)
        detection_run.TRADE.check(recipe.proxy, opened, data)
        return opened.images, opened.fingerprint


def drawn(
    asked: Asked, draw: space.Draw, step: int, *, template: Layout | None = None
) -> tuple[str, ...]:
    """The candidates of a step: those that are written down, and as many more as are asked for.

    Of step 2 as many more as there are; step 1 must have all.
    """
    recipe = asked.recipe
    before, count = (
        (asked.backbones, recipe.backbones) if step == 1 else (asked.networks, recipe.networks)
    )
    known = [candidate_layout(name) for name in (*asked.backbones, *asked.networks)]
    found = list(before)
    drawing = space.candidates(
        draw,
        recipe.budget,
        seed=recipe.seed,
        step=step,
        numbers=range(len(before), count),
        known=known,
        template=template,
    )
    try:
        found.extend(f"{SCRFD}-{spelled_out(layout)}" for layout in drawing)
    except NotEnoughData as error:
        if step == 1:
            raise NotEnoughData(f"step 1 has only {len(found)} of {count}: {error}") from error
    return tuple(found)


def candidate_layout(detector: str) -> Layout:
    return Candidate(step=1, number=0, detector=detector).layout
