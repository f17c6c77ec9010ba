"""What a model's graph does, judged from the shape of every array in it; nothing is run.

    cost        FLOPs by the LFR rule, and the work that this rule does not see
    memory      arrays that are alive at once, for one crop
    output      one row of D numbers for each crop
    tricks      crops of a batch kept apart, no mirrored copy, no table of pictures, no layer twice

Only for files that keep the rules of `rules_graph`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tronie.errors import BadModel
from tronie.runtime.batch_axis import batch_fault
from tronie.runtime.flops import GraphCost, graph_cost
from tronie.runtime.graph_loads import peak_memory, unknown_shapes, unseen_work
from tronie.runtime.graph_tricks import (
    lookup_fault,
    mirror_fault,
    picture_names,
    takes_raw_pixels,
    twice_fault,
)
from tronie.runtime.shapes import Shape, shapes_of
from tronie.server.challenge.checks import Check
from tronie.server.challenge.rules_arrays import SIDE
from tronie.server.challenge.sentences import at_most, plain, shown
from tronie.server.challenge.track import Track

MOST_MEMORY = 256 * 2**20
"""Bytes of one crop's arrays at once; a residual network of 200 layers has 13 MiB."""
FREE_SHARE = 0.1
"""Of the limit of FLOPs, which norms, activations and gates may take without being counted."""
SIZE = (SIDE, SIDE)
NAME = "the model"


@dataclass(frozen=True, kw_only=True)
class ShapeVerdict:
    """The checks, and what they measured besides."""

    checks: list[Check]
    dimension: int | None
    """Numbers in an embedding."""
    facts: Mapping[str, Any]


def shape_checks(model: Any, track: Track) -> ShapeVerdict:
    """Hold an open graph, an ONNX ModelProto, to the rules of what it does."""
    try:
        _, shapes = shapes_of(model, size=SIZE, name=NAME)
    except BadModel as fault:
        return _ended(Check(rule="graph.shapes", passed=False, reason=plain(str(fault), 600)))
    lacking = unknown_shapes(model, shapes)
    if lacking:
        sentence = (
            f"the shape of {len(lacking)} arrays cannot be told from the file, the first is "
            f"{shown(lacking[0])}; export it with fixed shapes and constants folded"
        )
        return _ended(Check(rule="graph.shapes", passed=False, reason=sentence))
    told = Check(rule="graph.shapes", passed=True, reason="the shape of every array is told")
    try:
        cost = graph_cost(model, size=SIZE, name=NAME)
        tricks = _trick_checks(model, shapes)
    except BadModel as fault:
        return _ended(Check(rule="graph.cost", passed=False, reason=plain(str(fault), 600)))
    counted = Check(rule="graph.cost", passed=True, reason="every multiplication can be counted")
    output, dimension = _output_checks(model, shapes, track)
    memory = peak_memory(model, shapes)
    checks = [
        told,
        counted,
        *_flops_checks(model, shapes, cost, track),
        at_most(
            "limits.activations",
            "the arrays of one crop take",
            memory,
            MOST_MEMORY,
            unit="bytes at once",
            advice="Make the pictures inside the network smaller sooner",
        ),
        *output,
        *tricks,
    ]
    facts = {
        "parameters": cost.parameters,
        "flops_lfr": cost.flops_lfr,
        "macs": cost.macs,
        "activation_bytes": memory,
        "dimension": dimension,
        "operators": [
            {"op": o.op, "count": int(o.name), "flops_lfr": o.flops_lfr, "macs": o.macs}
            for o in cost.by_type()
        ],
    }
    return ShapeVerdict(checks=checks, dimension=dimension, facts=facts)


def _ended(check: Check) -> ShapeVerdict:
    return ShapeVerdict(checks=[check], dimension=None, facts={})


def _flops_checks(
    model: Any, shapes: Mapping[str, Shape], cost: GraphCost, track: Track
) -> list[Check]:
    most = track.limits.flops_lfr
    dearest = max(cost.operators, key=lambda o: o.flops_lfr, default=None)
    where = "" if dearest is None else f"the dearest is {dearest.op} {shown(dearest.name)}"
    checks = [
        at_most(
            "limits.flops",
            "convolutions and fully connected layers cost",
            cost.flops_lfr,
            most,
            unit="FLOPs by the LFR rule",
            advice=f"Make the network smaller; {where}",
        )
    ]
    if most is not None and checks[0].passed:
        work = unseen_work(model, shapes, cost)
        beyond = max(0, work.elementwise - int(FREE_SHARE * most))
        checks.append(
            at_most(
                "limits.unseen_flops",
                "with products that the LFR rule does not see (of two computed arrays, Einsum, "
                "broadcasts that grow, elementwise work beyond a tenth of the limit) it costs",
                cost.flops_lfr + work.products + beyond,
                most,
                unit="FLOPs",
                advice="Write layers as convolutions, Gemm and MatMul with stored weights",
            )
        )
    return checks


def _output_checks(
    model: Any, shapes: Mapping[str, Shape], track: Track
) -> tuple[list[Check], int | None]:
    name = model.graph.output[0].name
    shape = shapes[name]
    flat = len(shape) == 2
    checks = [
        Check(
            rule="output.rank",
            passed=flat,
            measured=len(shape),
            limit=2,
            reason="the output is (N, D)"
            if flat
            else f"the output must be (N, D); for one crop it is {shape}. Flatten it",
        ),
        Check(
            rule="output.depends",
            passed=name in picture_names(model.graph),
            reason="the output depends on the crop"
            if name in picture_names(model.graph)
            else "the output does not depend on the crop; it is the same for every picture",
        ),
    ]
    if not flat:
        return checks, None
    dimension = shape[1]
    checks.append(
        at_most(
            "limits.dimension",
            "an embedding has",
            dimension,
            track.limits.dimension,
            unit="numbers",
            advice="Send a network with shorter embeddings",
        )
    )
    return checks, dimension


def _trick_checks(model: Any, shapes: Mapping[str, Shape]) -> list[Check]:
    try:
        mixed = batch_fault(model, size=SIZE, name=NAME)
    except BadModel as fault:
        mixed = str(fault)
    raw = "The model brings pixels 0..255 to its own scale" if takes_raw_pixels(model) else ""
    return [
        _trick(
            "graph.batch",
            mixed,
            "each crop must be embedded by itself, whatever else is in the batch",
            "crops of a batch are kept apart",
        ),
        _trick(
            "graph.mirror",
            mirror_fault(model, shapes),
            "a mirrored copy of the crop inside the graph is not allowed",
            "nothing turns the crop around",
        ),
        _trick(
            "graph.lookups",
            lookup_fault(model, shapes),
            "an embedding must be computed, not looked up",
            "nothing is looked up by pixels",
        ),
        _trick(
            "graph.twice",
            twice_fault(model),
            "the network must look at each crop once",
            "layers are applied once",
        ),
        _trick(
            "input.pixels",
            raw,
            "pixels reach it as (value - 127.5) / 127.5 already; leave that step out",
            "the crop is taken as (value - 127.5) / 127.5",
        ),
    ]


def _trick(rule: str, fault: str, law: str, good: str) -> Check:
    """Names in `fault` are the file's own and are shown as ASCII."""
    reason = f"{plain(fault, 300)}; {law}" if fault else good
    return Check(rule=rule, passed=not fault, reason=reason)
