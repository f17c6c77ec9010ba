"""export: the network of a run as an ONNX file, with proof that both agree."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tronie.cli import options
from tronie.cli.files import writable_file
from tronie.cli.needs_torch import torch_needed
from tronie.cli.terminal import print_json, tell
from tronie.errors import BadInput


def export(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="The folder of a run.")],
    *,
    out: Annotated[
        Path, typer.Option("--out", metavar="MODEL.onnx", help="The model; its contract beside it.")
    ],
    threads: options.Threads = None,
    json: options.Json = False,
) -> None:
    """Write the network of a run's last checkpoint as an ONNX file that all verbs take.

    It is run on random crops by torch, by onnxruntime and as tronie embeds; the largest
    differences are printed. Where they are too large nothing is written.
    """
    writable_file(out, option="--out")
    _expect_room_for_contract(out)
    with torch_needed("tronie export"):
        from tronie.lab.training.export import export_backbone
        from tronie.lab.training.runs import load_trained
    recipe, backbone = load_trained(run)
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


def _expect_room_for_contract(out: Path) -> None:
    """See that the file beside the model may be written: it is not there, or of a model before."""
    beside = out.with_suffix(".toml")
    writable_file(beside, option="--out: its contract")
    if beside.is_file() and b"[contract]" not in beside.read_bytes():
        raise BadInput(
            f"--out {out} puts its contract into {beside}, which is there and is no contract; name "
            "another model, or move it away"
        )
