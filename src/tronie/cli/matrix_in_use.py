"""The feature matrix that a verb works on: one that is there, or one made from photographs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tronie.cli.files import whole, writable_file
from tronie.cli.models_in_use import Chosen, checksums, embed_one_each, open_analyzer, open_embedder
from tronie.cli.terminal import number_of, progress_of, say
from tronie.data.readers.features import write_features
from tronie.data.readers.image_folder import identities
from tronie.data.readers.lists import read_image_list
from tronie.errors import BadInput, NotEnoughData
from tronie.evaluation.embedding import Embed, embed_to_matrix
from tronie.images.io import decode_image
from tronie.runtime.embedder import Embedder


@dataclass(frozen=True, kw_only=True)
class Matrix:
    """A matrix, and who its rows are."""

    features: Path
    labels: Path
    """Labels or META, one line a row."""
    embedded: bool = False
    """Made just now: rows are as the network gives them, of any length."""


def matrix_in_use(
    chosen: Chosen,
    features: Path | None,
    *,
    images: Sequence[str] | None,
    labels: Path | None = None,
    meta: Path | None = None,
    aligned: bool,
    out: Path,
) -> Matrix:
    """The matrix that was named, or that of the images that were.

    Rows of photographs without a face are left out, and so are their lines of labels or META,
    in files beside `out`.

    Raises:
        BadInput: neither a matrix nor images were named, or both; or whose the rows are was not
            said.
    """
    named = labels if labels is not None else meta
    if (features is None) == (not images):
        raise BadInput("give --features M.npy, or --images DIR to embed; one of them")
    if features is not None:
        if named is None:
            raise BadInput("give --labels L.npy with --features: whose each row is")
        return Matrix(features=features, labels=named)
    writable_file(out, option="--features-out")
    if out.exists() and not out.with_name(f"{out.name}.journal").exists():
        raise BadInput(
            f"--features-out {out} is there and would be replaced; name another file, or delete it"
        )
    people, paths = _photographs(images or (), out)
    if named is None and people is None:
        raise BadInput("a list of images does not say who they show; give --labels")
    embed, run = _embed_with(chosen, aligned)
    with progress_of("embedding") as show:
        made = embed_to_matrix(paths, embed, out, run=run, progress=show)
    lost = len(made.without_face)
    if lost:
        say(
            f"{number_of(lost, 'photograph', 'photographs')} of {made.rows} without a face left out"
        )
    kept = np.setdiff1d(np.arange(made.rows), made.without_face)
    if len(kept) == 0:
        raise NotEnoughData(f"none of {made.rows} photographs shows a face")
    if lost:
        features = out.with_name(f"{out.stem}.faces.npy")
        write_features(features, np.ascontiguousarray(np.load(out, mmap_mode="r")[kept]))
    names = _kept_lines(named, people, kept, rows=made.rows, table=meta is not None, out=out)
    return Matrix(features=features or out, labels=names, embedded=True)


def _photographs(images: Sequence[str], out: Path) -> tuple[list[str] | None, list[Path]]:
    """Names of people where folders say them, and the files."""
    if len(images) == 1 and images[0].endswith(".txt"):
        root = Path(images[0]).parent
        return None, [root / name for name in read_image_list(images[0])]
    found = identities(images)
    return [name for name, _ in found], [path for _, path in found]


def _embed_with(chosen: Chosen, aligned: bool) -> tuple[Embed, str]:
    if not aligned:
        analyzer = open_analyzer(chosen)
        run = f"{sorted(checksums(analyzer).items())} {analyzer.contract_id}"

        def embed(photos: Sequence[bytes]) -> NDArray[np.float32]:
            return embed_one_each(analyzer, photos)

        return embed, run
    embedder, sha256 = open_embedder(chosen)
    return lambda crops: embed_crops(embedder, crops), f"aligned {sha256} flip {chosen.flip}"


def embed_crops(embedder: Embedder, crops: Sequence[bytes]) -> NDArray[np.float32]:
    """Embeddings (n, D) of encoded aligned crops, of which one is decoded at a time.

    Raises:
        BadInput: a crop is not of the size that the model takes.
    """
    wanted = (embedder.contract.height, embedder.contract.width, 3)
    pixels = np.empty((len(crops), *wanted), np.uint8)
    for n, crop in enumerate(crops):
        image = decode_image(crop)
        if image.shape != wanted:
            raise BadInput(
                f"an aligned crop of this model is {wanted[1]}x{wanted[0]}; got "
                f"{image.shape[1]}x{image.shape[0]}. Leave --aligned away for photographs"
            )
        pixels[n] = image
    return embedder.embed(pixels)


def _kept_lines(
    named: Path | None,
    people: Sequence[str] | None,
    kept: NDArray[np.int64],
    *,
    rows: int,
    table: bool,
    out: Path,
) -> Path:
    """A file of one label or line for each row that is kept."""
    if named is not None and len(kept) == rows:
        return named
    if named is None:
        assert people is not None
        lines = [people[n] for n in kept.tolist()]
    elif named.suffix == ".npy":
        file = out.with_name(f"{out.stem}.labels.npy")
        np.save(file, np.load(named, allow_pickle=False)[kept])
        return file
    else:
        every = named.read_text(encoding="utf-8-sig").splitlines()
        header = every[:1] if table else []
        lines = header + [every[n + len(header)] for n in kept.tolist()]
    file = out.with_name(f"{out.stem}.{'meta.csv' if table else 'labels.txt'}")
    with whole(file) as (target,):
        target.write(("\n".join(lines) + "\n").encode("utf-8"))
    return file
