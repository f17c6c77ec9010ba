"""export: the network of a run as an ONNX file, with proof that both agree."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from tronie.cli import options
from tronie.cli.files import writable_file
from tronie.cli.needs_torch import torch_needed
from tronie.cli.terminal import print_json, tell
from tronie.errors import BadInput

if TYPE_CHECKING:  # for the checker only: torch need not be here
    from tronie.lab.nn.detector import Detector
    from tronie.lab.training.recipe import RecognitionRecipe

Layout = Literal["decoded", "published"]


def export(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="The folder of a run.")],
    *,
    out: Annotated[
        Path, typer.Option("--out", metavar="MODEL.onnx", help="The model; its contract beside it.")
    ],
    layout: Annotated[
        Layout | None,
        typer.Option(
            "--layout",
            help="Of a detector: boxes and points in pixels (decoded, the default), or the outputs "
            "that files of this network are published with.",
        ),
    ] = None,
    threads: options.Threads = None,
    json: options.Json = False,
) -> None:
    """Write the network of a run's last checkpoint as an ONNX file that all verbs take.

    It is run on random pictures by torch, by onnxruntime and as tronie embeds or detects; the
    largest differences are printed. Where they are too large nothing is written. Of a detector
    whose weights were averaged it is the average.
    """
    writable_file(out, option="--out")
    _expect_room_for_contract(out)
    with torch_needed("tronie export"):
        from tronie.lab.nn.detector import Detector
        from tronie.lab.training.recipe import RecognitionRecipe
        from tronie.lab.training.runs import load_trained
    recipe, network = load_trained(run)
    if not isinstance(recipe, RecognitionRecipe):
        assert isinstance(network, Detector)
        _detector(recipe.detector, network, out, layout or "decoded", threads, json=json)
        return
    if layout is not None:
        raise BadInput(
            f"--layout {layout} is of detectors, and {run} is a run of a recognizer; leave it out"
        )
    _backbone(recipe, network, out, threads, json=json)


def _backbone(
    recipe: RecognitionRecipe, backbone: Any, out: Path, threads: int | None, *, json: bool
) -> None:
    from tronie.lab.training.export import export_backbone

    proof = export_backbone(backbone, out, embedding_size=recipe.embedding_size, threads=threads)
    if json:
        print_json({"model": out, "backbone": recipe.backbone, **vars(proof)})
        return
    tell(
        f"{out}: {recipe.backbone}, embeddings of {proof.embedding_size} numbers, "
        f"{proof.size_bytes / 2**20:.2f} MiB, opset {proof.opset}"
    )
    tell(
        f"on {proof.crops} random crops it differs from torch by {proof.max_difference:.2g}, and "
        f"as tronie embeds by {proof.max_difference_embedder:.2g}, of numbers up to "
        f"{proof.largest:.2g}"
    )


def _detector(
    name: str,
    network: Detector,
    out: Path,
    layout: Layout,
    threads: int | None,
    *,
    json: bool,
) -> None:
    from tronie.lab.training.export_detector import export_detector

    proof = export_detector(network, out, layout=layout, threads=threads)
    if json:
        print_json({"model": out, "detector": name, **vars(proof)})
        return
    tell(f"{out}: {name}, {layout}, {proof.size_bytes / 2**20:.2f} MiB")
    tell(
        f"at {proof.anchors} anchors of {proof.pictures} random pictures it differs from torch by "
        f"{proof.max_difference:.2g}, and as tronie detects by {proof.max_difference_reader:.2g}, "
        f"of numbers up to {proof.largest:.4g}"
    )


def _expect_room_for_contract(out: Path) -> None:
    """See that the file beside the model may be written: it is not there, or of a model before."""
    beside = out.with_suffix(".toml")
    writable_file(beside, option="--out: its contract")
    if beside.is_file() and b"[contract]" not in beside.read_bytes():
        raise BadInput(
            f"--out {out} puts its contract into {beside}, which is there and is no contract; name "
            "another model, or move it away"
        )
