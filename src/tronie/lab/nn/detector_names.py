"""Which names are detectors: listed variants, and layouts that are spelled out. Needs no torch.

    scrfd-2.5g                                          a variant of `detectors/scrfd.py`
    scrfd-basic-3.5.3.2-24.48.48.80-n24-h64x2-gn16      any other network of that file

A file whose networks can be spelled out lists the first words of such names in a dictionary
SPELLED, with what each stands for; what follows them is the file's to read.
"""

from __future__ import annotations

from tronie import catalog
from tronie.errors import NotFound

CATALOGUE = "tronie.lab.nn.detectors"


def names() -> tuple[str, ...]:
    """Every detector that has a name of its own, as in "scrfd-2.5g"; imports none of them."""
    return catalog.variant_names(CATALOGUE)


def is_detector(name: str) -> bool:
    """Whether it names a detector, or begins as one that is spelled out."""
    try:
        detector_parts(name)
    except NotFound:
        return False
    return True


def detector_parts(name: str) -> tuple[str, str]:
    """File and variant of a name, which may be written with underscores.

    What is spelled out is not read here: whether it can be built, its file says.

    Raises:
        NotFound: no such detector; the message holds the nearest name.
    """
    asked = name.replace("_", "-")
    for key in catalog.entries(CATALOGUE):
        rest = asked.removeprefix(f"{key}-")
        words = catalog.variants(CATALOGUE, key, table="SPELLED")
        if rest != asked and rest.startswith(tuple(f"{word}-" for word in words)):
            return key, rest
    return catalog.variant_parts(CATALOGUE, name)
