"""What a model may weigh, store, take and give, judged from its survey.

Source: `onnx_helper.py` and rules of the MFR21 challenge for ranks, types, the size of input and
output and the ban on 16-bit weights. Differs from it: weights are looked for in constants, casts
and attributes too, and a batch must be free in the file.
"""

from __future__ import annotations

from collections.abc import Sequence

from tronie.runtime.graph_survey import GraphSurvey, Port, StoredArray
from tronie.server.challenge.checks import Check
from tronie.server.challenge.sentences import at_most, check, listed, shown
from tronie.server.challenge.track import Track

MOST_WHOLE_NUMBERS = 65_536
"""Shapes, axes and indices; weights are no whole numbers."""
SIDE = 112
WHOLE = frozenset({"INT64", "INT32", "BOOL"})
ALLOWED = WHOLE | {"FLOAT"}


def size_checks(found: GraphSurvey, track: Track, size_bytes: int) -> list[Check]:
    """The file, and the weights as if nothing packed them."""
    most = track.limits.model_bytes
    advice = "Send a smaller network"
    return [
        at_most(
            "limits.model_bytes", "model.onnx has", size_bytes, most, unit="bytes", advice=advice
        ),
        at_most(
            "limits.weight_bytes",
            "initializers, constants and lists in attributes have",
            found.weight_bytes,
            most,
            unit="bytes",
            advice=advice,
        ),
    ]


def weight_checks(found: GraphSurvey) -> list[Check]:
    """All weights in the file, whole, in full, and float32 wherever they are."""
    whole = sum(array.numbers for array in found.stored if array.element in WHOLE)
    return [
        check(
            "weights.external",
            listed(
                "weights are kept in another file:",
                map(shown, found.external),
                "Save the model as one file",
            ),
            "all weights are in the file",
        ),
        check(
            "weights.sparse",
            listed(
                "weights are stored as sparse arrays:",
                map(shown, found.sparse),
                "Store them in full",
            ),
            "no weights are sparse",
        ),
        *_type_checks(found),
        at_most(
            "weights.whole_numbers",
            "shapes, axes and indices are",
            whole,
            MOST_WHOLE_NUMBERS,
            unit="whole numbers",
            advice="Weights are stored as float32",
        ),
        check(
            "weights.damaged",
            _arrays(
                "stored bytes must fit the shape that is announced",
                [a for a in found.stored if a.damaged and a.element in ALLOWED],
                "Export it again",
            ),
            "all stored arrays have the bytes that they announce",
        ),
    ]


def _type_checks(found: GraphSurvey) -> list[Check]:
    odd = [array for array in found.stored if array.element not in ALLOWED]
    kept = [array for array in odd if array.owner == "initializer"]
    advice = "Store all weights as float32"
    return [
        check(
            "weights.float32",
            _arrays("weights must be float32", kept, advice),
            "all stored weights are float32",
        ),
        check(
            "weights.constants",
            _arrays(
                "constants in nodes must be float32",
                [a for a in odd if a.owner != "initializer"],
                advice,
            ),
            "all constants in nodes are float32",
        ),
        check(
            "weights.casts",
            listed(
                "arrays are turned into other types than float32: to",
                [kind for kind in found.casts if kind not in ALLOWED],
                "Run the network in float32 throughout",
            ),
            "nothing is turned into another type than float32",
        ),
    ]


def port_checks(found: GraphSurvey) -> list[Check]:
    """One input (N, 3, 112, 112) and one output, both float32."""
    checks = [
        _count("input.count", "input", len(found.inputs)),
        _count("output.count", "output", len(found.outputs)),
    ]
    if all(check.passed for check in checks):
        checks += _input_checks(found.inputs[0])
        given = found.outputs[0]
        checks.append(
            check(
                "output.type",
                ""
                if given.is_tensor and given.spec.dtype == "float32"
                else f"the output must be a float32 array; it is {given.spec.dtype}",
                "the output is a float32 array",
            )
        )
    return checks


def _input_checks(port: Port) -> list[Check]:
    axes = port.axes
    shown = f"({', '.join(map(str, axes))})"
    asked = f"the input must be (N, 3, {SIDE}, {SIDE})"
    checks = [
        check(
            "input.type",
            ""
            if port.is_tensor and port.spec.dtype == "float32"
            else f"the input must be a float32 array; it is {port.spec.dtype}",
            "the input is a float32 array",
        ),
        check(
            "input.rank",
            "" if len(axes) == 4 else f"{asked}; it has {len(axes)} axes: {shown!a}",
            "the input has four axes",
            measured=len(axes),
            limit=4,
        ),
    ]
    if len(axes) == 4:
        checks += [
            check(
                "input.shape",
                ""
                if axes[1:] == (3, SIDE, SIDE)
                else f"{asked} with these numbers written into the file; it is {shown!a}",
                f"the input is (N, 3, {SIDE}, {SIDE})",
            ),
            check(
                "input.batch",
                f"the batch is fixed at {axes[0]}; export it with a free first axis, as in "
                "dynamic_axes={'input': {0: 'N'}}"
                if isinstance(axes[0], int)
                else "",
                "the batch is free",
            ),
        ]
    return checks


def _count(rule: str, what: str, found: int) -> Check:
    return check(
        rule,
        "" if found == 1 else f"the graph must have one {what}; it has {found}",
        f"the graph has one {what}",
        measured=found,
        limit=1,
        unit=f"{what}s",
    )


def _arrays(what: str, odd: Sequence[StoredArray], advice: str) -> str:
    if not odd:
        return ""
    first = odd[0]
    more = f" and {len(odd) - 1} more are not" if len(odd) > 1 else " is not"
    where = "" if first.owner == "initializer" else f" in {first.owner}"
    return f"{what}; {shown(first.name)} ({first.element}{where}){more}. {advice}"
