"""A backbone of torch to an ONNX file, and proof that both give the same embeddings.

    file      one plain graph of opset 17 with a free batch axis, `pictures` (N, 3, 112, 112)
              to `embeddings` (N, D); each batch norm behind a convolution is folded into it
    contract  what the file takes, in a file of the same name ending in .toml: tronie and people
              read there that pixels are RGB, (pixel - 127.5) / 127.5
    proof     random crops through torch, through onnxruntime as the file is, and through
              `tronie.runtime.embedder` as everybody runs it; the largest differences are kept

Neither file takes its name before the proof holds: a failed export leaves what was there.
`tronie.lab.training.onnx_file` traces and writes it.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from tronie.errors import BadInput, BadModel
from tronie.lab.training.onnx_file import (
    OPSET,
    contract_toml,
    file_bytes,
    traced_graph,
    write_whole,
)
from tronie.runtime.contract import Contract
from tronie.runtime.embedder import Embedder
from tronie.runtime.graph import parse_graph
from tronie.runtime.pixels import network_input
from tronie.runtime.session import EngineOptions, session_of

SIDE = 112
CROPS = 5
"""Crops of the proof: one alone, and the rest as a batch, so that the free axis is tried."""
TOLERANCE = 1e-4
"""Largest difference allowed, as a part of the largest number, or absolute where that is below 1:
float32 sums of a deep network, done in another order."""


@dataclass(frozen=True, kw_only=True)
class ExportProof:
    """What was written, and how far the file is from the network it was made of."""

    crops: int
    max_difference: float
    """Between torch and onnxruntime, over all numbers of all embeddings."""
    max_difference_embedder: float
    """Between torch and the embedder of tronie's runtime."""
    largest: float
    """The largest number in the embeddings, which the differences are to be seen beside."""
    embedding_size: int
    opset: int
    size_bytes: int


def export_backbone(
    module: nn.Module,
    path: str | Path,
    *,
    embedding_size: int,
    contract: Contract | None = None,
    opset: int = OPSET,
    threads: int | None = None,
    seed: int = 0,
) -> ExportProof:
    """Write `module` to `path` and its contract beside it, once both are proven to agree.

    Args:
        module: (N, 3, 112, 112) to (N, embedding_size). Copied; exported in evaluation, float32.
        path: Ends in .onnx.
        contract: What the pixels are; None: RGB, (pixel - 127.5) / 127.5.
        threads: Cores for the proof; None: all of this process.
        seed: Of the random crops.

    Raises:
        BadInput: another ending, or another size of embedding than was promised.
        BadModel: the network gives NaN or infinity, or file and network do not agree.
    """
    file = Path(path)
    if file.suffix != ".onnx":
        raise BadInput(f"a model is exported to a file that ends in .onnx; got {file}")
    stated = contract or Contract(kind="embedder", format="embedding", dimension=embedding_size)
    network = copy.deepcopy(module).cpu().float().eval()
    data = onnx_bytes(network, opset=opset)
    proof = _prove(
        network,
        data,
        name=file.stem,
        contract=stated,
        embedding_size=embedding_size,
        opset=opset,
        threads=threads,
        seed=seed,
    )
    write_whole(file.with_suffix(".toml"), contract_toml(stated).encode("utf-8"))
    write_whole(file, data)
    return proof


def onnx_bytes(network: nn.Module, *, opset: int = OPSET) -> bytes:
    """The file of a network that is on the CPU and in evaluation; nothing is proven or written."""
    graph = traced_graph(
        network,
        torch.zeros(2, 3, SIDE, SIDE),
        name="pictures",
        outputs=["embeddings"],
        free={"pictures": {0: "batch"}, "embeddings": {0: "batch"}},
        opset=opset,
    )
    return file_bytes(graph)


def settle_norms(module: nn.Module, *, seed: int = 0) -> None:
    """Leave the norms of a fresh network as training does: statistics of pictures, no two alike.

    Without statistics a hundred fresh layers overflow float32, and equal scales would be
    stored once in a file where a trained network stores each. For measuring networks that
    nobody has trained; works on `module` itself and leaves it in evaluation.
    """
    draw = torch.Generator().manual_seed(seed)
    norms = [m for m in module.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    vectors = [p for p in module.parameters() if p.ndim <= 1]
    pictures = torch.rand(4, 3, SIDE, SIDE, generator=draw) * 2 - 1
    momenta = [norm.momentum for norm in norms]
    with torch.no_grad():
        for vector in vectors:
            vector.add_(torch.rand(vector.shape, generator=draw), alpha=0.01)
        for norm in norms:
            norm.reset_running_stats()
            norm.momentum = None  # the mean over the pictures, without the start
        module.train()
        module(pictures)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    module.eval()


def _prove(
    network: nn.Module,
    data: bytes,
    *,
    name: str,
    contract: Contract,
    embedding_size: int,
    opset: int,
    threads: int | None,
    seed: int,
) -> ExportProof:
    shape = (CROPS, SIDE, SIDE, 3)
    crops = np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)
    pictures = network_input(crops, contract)
    with torch.no_grad():
        wanted = network(torch.from_numpy(pictures)).numpy()
    if wanted.shape != (CROPS, embedding_size):
        raise BadInput(
            f"embeddings of {embedding_size} numbers were promised for {name}; the network gives "
            f"{wanted.shape} for {CROPS} pictures"
        )
    if not np.isfinite(wanted).all():
        raise BadModel(
            f"the network gives NaN or infinity for {name}, and is not exported; its training "
            "diverged, or it is fresh and has seen no pictures"
        )
    graph = parse_graph(data, name=name)
    stored = EngineOptions(threads=threads, precision="stored")
    session = session_of(graph, stored, name=name)
    alone_and_together = [session.run(part)[0] for part in (pictures[:1], pictures[1:])]
    embedder = Embedder(session_of(graph, EngineOptions(threads=threads), name=name), contract)
    proof = ExportProof(
        crops=CROPS,
        max_difference=_largest(np.concatenate(alone_and_together) - wanted),
        max_difference_embedder=_largest(embedder.embed(crops) - wanted),
        largest=_largest(wanted),
        embedding_size=embedding_size,
        opset=opset,
        size_bytes=len(data),
    )
    worst = max(proof.max_difference, proof.max_difference_embedder)
    if not worst <= TOLERANCE * max(1.0, proof.largest):
        raise BadModel(
            f"the exported {name} differs from its network by {worst:.2g}, of numbers up to "
            f"{proof.largest:.2g}; at most {TOLERANCE:g} of that is allowed. Nothing was written"
        )
    return proof


def _largest(numbers: NDArray[np.float32]) -> float:
    return float(np.abs(numbers).max())
