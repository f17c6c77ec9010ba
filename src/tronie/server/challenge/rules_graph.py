"""What a model's file may hold, judged from its survey: no shape is computed, nothing is run.

One function a group; every rule gives a Check, kept or broken, so that a team sees them all. An
operator is refused by the rule that says why, and by no other: control flow as control flow,
chance as chance, and only what remains as unknown.

Source: rules of the MFR21 challenge; `onnx_helper.py` asks for at least 8 nodes. Differs from it:
operators come from a list, and what hides weights, time or chance is named.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from tronie.runtime.batch_axis import OPERATORS
from tronie.runtime.graph_survey import DOMAIN, GraphSurvey
from tronie.server.challenge.checks import Check
from tronie.server.challenge.rules_arrays import port_checks, size_checks, weight_checks
from tronie.server.challenge.sentences import at_most, check, listed, plain
from tronie.server.challenge.track import Track

LEAST_NODES, MOST_NODES = 8, 10_000
LONGEST_PATH = 4_000
"""Nodes one after another; a residual network of 200 layers has about 700."""
LEAST_OPSET, MOST_OPSET = 9, 23
LEAST_IR, MOST_IR = 3, 13
MOST_NOTE_BYTES, MOST_NOTES = 4 * 2**20, 50_000

CONTROL_FLOW = frozenset(
    {
        "If",
        "Loop",
        "Scan",
        "SequenceMap",
    }
)
RANDOM = frozenset(
    {
        "RandomNormal",
        "RandomNormalLike",
        "RandomUniform",
        "RandomUniformLike",
        "Multinomial",
        "Bernoulli",
    }
)
SEQUENCES = frozenset(
    {
        "SequenceAt",
        "SequenceConstruct",
        "SequenceEmpty",
        "SequenceErase",
        "SequenceInsert",
        "SequenceLength",
        "SplitToSequence",
        "ConcatFromSequence",
        "Optional",
        "OptionalGetElement",
        "OptionalHasElement",
    }
)
QUANTIZED = frozenset(
    {
        "QuantizeLinear",
        "DequantizeLinear",
        "DynamicQuantizeLinear",
        "QLinearConv",
        "QLinearMatMul",
        "ConvInteger",
        "MatMulInteger",
    }
)
RESAMPLERS = frozenset(
    {
        "ReverseSequence",
        "GatherND",
        "GatherElements",
        "ScatterND",
        "ScatterElements",
        "GridSample",
        "AffineGrid",
        "RoiAlign",
        "MaxRoiPool",
        "MaxUnpool",
        "Col2Im",
        "CenterCropPad",
    }
)
UNCOUNTED = frozenset(
    {
        "RNN",
        "LSTM",
        "GRU",
        "Attention",
        "DeformConv",
        "DFT",
        "STFT",
    }
)


def static_checks(found: GraphSurvey, track: Track, *, size_bytes: int) -> list[Check]:
    """Hold a surveyed model of `size_bytes` to the rules of its file."""
    return [
        *size_checks(found, track, size_bytes),
        *_operator_checks(found, track),
        *weight_checks(found),
        *_form_checks(found),
        *port_checks(found),
    ]


def _operator_checks(found: GraphSurvey, track: Track) -> list[Check]:
    foreign = [f"{domain}.{kind}" for domain, kind in found.operators if domain != DOMAIN]
    kinds = [kind for domain, kind in found.operators if domain == DOMAIN]
    named = CONTROL_FLOW | RANDOM | SEQUENCES | QUANTIZED | RESAMPLERS | UNCOUNTED
    strange = [kind for kind in kinds if kind not in OPERATORS and kind not in named]
    branched = [k for k in kinds if k in CONTROL_FLOW] + list(found.subgraph_owners)
    held = "the graph holds"
    return [
        check(
            "graph.domains",
            listed(
                f"{held} operators of other domains than ONNX's own:",
                foreign,
                "Export it without an optimizer's fused operators",
            ),
            "all operators are ONNX's own",
        ),
        check(
            "graph.functions",
            listed(
                "the file defines functions of its own:",
                found.functions,
                "Export it with its functions written out",
            ),
            "the file defines no functions",
        ),
        check(
            "graph.control_flow",
            ""
            if track.subgraphs
            else listed(
                f"{held} branches or loops:", branched, "Export it by tracing, without scripting"
            ),
            "branches and loops are allowed by the track"
            if track.subgraphs and branched
            else "the graph has no branches and no loops",
        ),
        check(
            "graph.operators",
            listed(
                f"{held} operators that are not on the list:",
                strange,
                "Use others; tronie.runtime.batch_axis.OPERATORS is the list",
            ),
            f"all {len(kinds)} types of operators are on the list",
        ),
        *_opset_checks(found),
        *_ban_checks(kinds),
    ]


def _opset_checks(found: GraphSurvey) -> list[Check]:
    domains = [domain for domain, _ in found.opsets]
    return [
        check(
            "graph.opset_operators",
            listed(
                f"opset {found.opset} has no such operators:",
                [kind for kind in found.unknown if kind in OPERATORS],
                "Export it again",
            ),
            "the opset has all operators",
        ),
        check(
            "graph.opset_once",
            listed(
                "opsets are declared twice, of the domains:",
                sorted({domain or "ai.onnx" for domain, n in Counter(domains).items() if n > 1}),
                "One reader takes the first and another the last; declare each once",
            ),
            "each opset is declared once",
        ),
        _range("graph.opset", "opset", found.opset or 0, LEAST_OPSET, MOST_OPSET),
        _range("graph.ir_version", "IR version", found.ir_version, LEAST_IR, MOST_IR),
    ]


def _ban_checks(kinds: Sequence[str]) -> list[Check]:
    return [
        _banned("graph.random", kinds, RANDOM, "operators of chance", "Export it for inference"),
        _banned("graph.sequences", kinds, SEQUENCES, "lists or optional values", "Use arrays"),
        _banned(
            "weights.quantized",
            kinds,
            QUANTIZED,
            "operators of 8-bit arithmetic",
            "Send the network in float32",
        ),
        _banned(
            "graph.resampling",
            kinds,
            RESAMPLERS,
            "operators that can mirror, align or rearrange a picture",
            "Crops are aligned already; leave them as they are",
        ),
        _banned(
            "graph.uncounted",
            kinds,
            UNCOUNTED,
            "operators whose multiplications cannot be counted",
            "Export them as convolutions, Gemm and MatMul",
        ),
    ]


def _banned(rule: str, kinds: Sequence[str], ban: frozenset[str], what: str, advice: str) -> Check:
    there = [kind for kind in kinds if kind in ban]
    return check(
        rule, listed(f"the graph holds {what}:", there, advice), f"the graph holds no {what}"
    )


def _range(rule: str, what: str, found: int, least: int, most: int) -> Check:
    fault = "" if least <= found <= most else "; export it for another"
    return check(
        rule,
        fault and f"the file is of {what} {found}; {least} to {most} are read{fault}",
        f"the file is of {what} {found}",
        measured=found,
        limit=most,
    )


def _form_checks(found: GraphSurvey) -> list[Check]:
    return [
        check(
            "graph.structure",
            f"{plain(found.faults[0], 300)}; export it again" if found.faults else "",
            "every node reads what was made before",
        ),
        *_extent_checks(found),
        check(
            "graph.training_info",
            "the file holds instructions for training; save it for inference"
            if found.has_training
            else "",
            "the file holds nothing for training",
        ),
        check(
            "graph.training_mode",
            listed("nodes behave as in training:", found.training, "Export it in evaluation mode"),
            "all nodes behave as in inference",
        ),
        check(
            "graph.names",
            listed(
                "names have characters that cannot be shown, or more than 512 of them:",
                found.strange_names,
                "Rename them",
            ),
            "all names can be shown",
        ),
        check(
            "graph.notes",
            ""
            if found.note_bytes <= MOST_NOTE_BYTES and found.notes <= MOST_NOTES
            else f"descriptions and metadata are {found.notes:,} notes of {found.note_bytes:,} "
            f"characters; at most {MOST_NOTES:,} of {MOST_NOTE_BYTES:,} are read. Remove them",
            "there are few descriptions and metadata",
            measured=found.note_bytes,
            limit=MOST_NOTE_BYTES,
            unit="characters",
        ),
    ]


def _extent_checks(found: GraphSurvey) -> list[Check]:
    return [
        check(
            "graph.least_nodes",
            ""
            if found.nodes >= LEAST_NODES
            else f"the graph has {found.nodes} nodes; a network has at least {LEAST_NODES}. Export "
            "the network itself",
            f"the graph has {found.nodes} nodes",
            measured=found.nodes,
            limit=LEAST_NODES,
            unit="nodes",
        ),
        at_most(
            "graph.most_nodes",
            "the graph has",
            found.nodes,
            MOST_NODES,
            unit="nodes",
            advice="Export it without unrolled loops",
        ),
        at_most(
            "graph.depth",
            "the longest path through the graph has",
            found.longest_path,
            LONGEST_PATH,
            unit="nodes in a row",
            advice="Export it without unrolled loops",
        ),
    ]
