"""measure: what a model costs, told from its file, or of a network that nobody has trained yet."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated

import typer

from tronie import catalog
from tronie.cli import options
from tronie.cli.needs_torch import torch_needed
from tronie.cli.terminal import print_json, print_table, say, tell
from tronie.errors import BadInput
from tronie.lab.nn.detector_names import is_detector
from tronie.lab.nn.detector_names import names as detector_names
from tronie.runtime import zoo
from tronie.runtime.bounds import MAX_ELEMENTS
from tronie.runtime.entries import entry_names
from tronie.runtime.flops import GraphCost, OperatorCost, graph_cost
from tronie.runtime.graph import load_graph, parse_graph
from tronie.runtime.latency import Latency, latency
from tronie.runtime.session import EngineOptions, Session, session_of

BACKBONES = "tronie.lab.nn.backbones"
BATCHES, DETECTOR_BATCHES = (1, 32), (1, 8)
CROP = (112, 112)


@dataclass(frozen=True, kw_only=True)
class Measured:
    """A model with its counts; `open` is None where there is nothing to be run."""

    name: str
    cost: GraphCost
    size: tuple[int, int]
    """Height and width of the picture that was counted."""
    open: Callable[[EngineOptions], Session] | None
    flops_published: int | None = None
    """As the published columns of face detectors count; None for what is no detector of ours."""
    batches: tuple[int, ...] = BATCHES
    """Pictures at once that are timed where none are asked for."""


def measure(
    model: Annotated[
        str,
        typer.Argument(
            metavar="NAME|FILE.onnx",
            help="A file, a model of `tronie models list`, or a network as in iresnet-100 or "
            "scrfd-2.5g.",
        ),
    ],
    *,
    batch: Annotated[
        list[int] | None,
        typer.Option(
            "--batch",
            metavar="N",
            min=1,
            max=4096,
            help="Time it on N pictures; 1 and 32, 8 of a detector.",
        ),
    ] = None,
    count_only: Annotated[
        bool,
        typer.Option(
            "--count-only",
            help="Count and do not run it; a backbone's size is then the one it declares.",
        ),
    ] = False,
    operators: Annotated[
        bool, typer.Option("--operators", help="A line for each operator that multiplies.")
    ] = False,
    size: Annotated[
        int | None,
        typer.Option(
            "--size",
            metavar="PIXELS",
            min=1,
            max=8192,
            help="Side of the picture where the file leaves it free; else that of its contract.",
        ),
    ] = None,
    engine: options.Engine = "onnxruntime",
    device: options.Device = "cpu",
    threads: options.Threads = None,
    precision: options.Precision = "float32",
    json: options.Json = False,
) -> None:
    """Parameters, FLOPs by two rules, size of the ONNX file, and the time it takes here.

    flops_lfr counts convolutions and fully connected layers as the Lightweight Face Recognition
    challenge does; macs are multiply-adds, attention included. Both are for one picture, of a
    detector by name for one of 640 x 480, with flops_published as its authors' tables count them.
    """
    run = EngineOptions(engine=engine, device=device, threads=threads, precision=precision)
    measured = _measured(model, side=size, count_only=count_only)
    times = [] if count_only else _times(measured, batch, run)
    if json:
        print_json(_told(measured, times))
        return
    _print(measured, times, operators=operators)


def _measured(model: str, *, side: int | None, count_only: bool) -> Measured:
    asked = model.replace("_", "-")
    if model.endswith(".onnx") or model in entry_names() or zoo.is_here(model):
        return _file(model, side=side)
    if is_detector(asked):
        return _detector(asked, side=side, count_only=count_only)
    if asked not in catalog.variant_names(BACKBONES) and Path(model).is_file():
        return _file(model, side=side)
    return _backbone(model, count_only=count_only)


def _file(model: str, *, side: int | None) -> Measured:
    found = zoo.find(model, say=say)
    stated = (found.contract.height, found.contract.width) if found.contract else CROP
    size = (side, side) if side else stated
    graph = load_graph(found.path)
    cost = graph_cost(graph, size=size, name=found.name)
    stored = {tensor.name for tensor in graph.graph.initializer}
    picture = next(value for value in graph.graph.input if value.name not in stored)
    height, width = (axis.dim_value for axis in picture.type.tensor_type.shape.dim[2:4])
    return Measured(
        name=found.name,
        cost=replace(cost, size_bytes=found.path.stat().st_size),
        size=(height if height > 0 else size[0], width if width > 0 else size[1]),
        open=lambda run: session_of(graph, run, name=found.name),
    )


def _backbone(name: str, *, count_only: bool) -> Measured:
    """Counted in torch, where biases are as its authors have them, and exported to be timed."""
    asked = name.replace("_", "-")
    if asked not in catalog.variant_names(BACKBONES):
        networks = catalog.variant_names(BACKBONES) + detector_names()
        known = {*networks, *entry_names()}
        raise catalog.not_found(name, known, where="the models and networks")
    with torch_needed(f"tronie measure {name}"):
        from tronie.lab.nn.backbone import build_backbone, variant_of
        from tronie.lab.nn.cost import layer_costs, parameters
        from tronie.lab.training.export import onnx_bytes, settle_norms
    network = build_backbone(asked)
    layers = layer_costs(network)
    counted = GraphCost(
        parameters=parameters(network),
        flops_lfr=sum(layer.flops_lfr for layer in layers),
        macs=sum(layer.macs for layer in layers),
        size_bytes=variant_of(asked).size_bytes,
        operators=tuple(
            OperatorCost(name=layer.name, op=layer.kind, flops_lfr=layer.flops_lfr, macs=layer.macs)
            for layer in layers
        ),
    )
    if count_only:
        return Measured(name=asked, cost=counted, size=CROP, open=None)
    say(f"{asked} is exported with fresh weights, to be timed; --count-only leaves that out")
    settle_norms(network)
    data = onnx_bytes(network)
    return Measured(
        name=asked,
        cost=replace(counted, size_bytes=len(data)),
        size=CROP,
        open=lambda run: session_of(parse_graph(data, name=asked), run, name=asked),
    )


def _detector(name: str, *, side: int | None, count_only: bool) -> Measured:
    """Counted in torch as its authors count it, and exported with its decoding to be timed."""
    with torch_needed(f"tronie measure {name}"):
        from tronie.lab.nn.cost import layer_costs, parameters
        from tronie.lab.nn.detector import VGA, build_detector
        from tronie.lab.nn.detector_cost import flops
        from tronie.lab.training.export import settle_norms
        from tronie.lab.training.export_detector import detector_onnx
    network = build_detector(name)
    size = (side, side) if side else VGA
    layers = layer_costs(network, size=size)
    settle_norms(network)
    data = detector_onnx(network)
    cost = GraphCost(
        parameters=parameters(network),
        flops_lfr=sum(layer.flops_lfr for layer in layers),
        macs=sum(layer.macs for layer in layers),
        size_bytes=len(data),
        operators=tuple(
            OperatorCost(name=layer.name, op=layer.kind, flops_lfr=layer.flops_lfr, macs=layer.macs)
            for layer in layers
        ),
    )
    if not count_only:
        say(f"{name} has fresh weights, to be timed; --count-only leaves that out")
    return Measured(
        name=name,
        cost=cost,
        size=size,
        open=lambda run: session_of(parse_graph(data, name=name), run, name=name),
        flops_published=flops(network, size=size),
        batches=DETECTOR_BATCHES,
    )


def _times(measured: Measured, batch: list[int] | None, run: EngineOptions) -> list[Latency]:
    assert measured.open is not None
    session = measured.open(run)
    batches = batch or ((session.batch,) if session.batch else measured.batches)
    one = (session.input.shape[1] or 3) * math.prod(measured.size)
    if max(batches) * one > MAX_ELEMENTS:
        raise BadInput(
            f"{measured.name} on {max(batches)} pictures takes {max(batches) * one} numbers at "
            f"once; at most {MAX_ELEMENTS} are timed. Ask for a smaller --batch or --size, or for "
            "--count-only"
        )
    return [latency(session, batch=n, size=measured.size) for n in batches]


def _told(measured: Measured, times: list[Latency]) -> Mapping[str, object]:
    counts = asdict(measured.cost)
    each = counts.pop("operators")
    published = measured.flops_published
    return {
        "name": measured.name,
        **counts,
        **({} if published is None else {"flops_published": published}),
        "picture": {"height": measured.size[0], "width": measured.size[1]},
        "latency": [asdict(time) for time in times],
        "operators": each,
    }


def _print(measured: Measured, times: list[Latency], *, operators: bool) -> None:
    cost = measured.cost
    height, width = measured.size
    tell(f"{measured.name}, on one picture of {width}x{height}")
    print_table(
        ("measured", "value", ""),
        [
            ("parameters", cost.parameters, f"{cost.parameters / 1e6:.2f} M"),
            ("flops_lfr", cost.flops_lfr, f"{cost.flops_lfr / 1e9:.4f} G"),
            ("macs", cost.macs, f"{cost.macs / 1e9:.4f} G"),
            *_published_row(measured.flops_published),
            ("size_bytes", cost.size_bytes, f"{cost.size_bytes / 2**20:.2f} MiB"),
        ],
    )
    listed = cost.operators if operators else cost.by_type()
    print_table(
        ("operator", "name" if operators else "count", "flops_lfr", "macs"),
        [(each.op, each.name, each.flops_lfr, each.macs) for each in listed],
    )
    if times:
        print_table(
            ("batch", "median ms", "p99 ms", "ms a picture", "calls", "threads"),
            [
                (
                    time.batch,
                    f"{time.median_ms:.2f}",
                    f"{time.p99_ms:.2f}",
                    f"{time.median_ms / time.batch:.2f}",
                    time.runs,
                    time.threads,
                )
                for time in times
            ],
        )


def _published_row(flops: int | None) -> list[tuple[str, int, str]]:
    return [] if flops is None else [("flops_published", flops, f"{flops / 1e9:.4f} G")]
