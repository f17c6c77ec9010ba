"""Parts from strangers' JSON: everything is what its annotation says, or is refused by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from tronie.errors import BadInput
from tronie.evaluation.plain_types import expect_types
from tronie.evaluation.report import Report, Value
from tronie.provenance import provenance


@dataclass(frozen=True, kw_only=True)
class Inner:
    count: int = 1


@dataclass(frozen=True, kw_only=True)
class Outer:
    text: str = "a"
    number: float = 0.5
    flag: bool = True
    maybe: float | None = None
    label: int | str = -1
    two: tuple[int, int] = (1, 2)
    many: tuple[Inner, ...] = (Inner(), Inner())
    inner: Inner | None = None
    named: Mapping[str, Inner] = field(default_factory=dict)
    rows: Sequence[Mapping[str, Any]] = ()


@pytest.mark.parametrize(
    "told",
    [
        {},
        {"number": 3, "maybe": -2, "label": "x"},
        {"number": 1e99, "two": (0, 2**63 - 1), "label": -(2**63) + 1},
        {"many": (), "inner": Inner(count=0), "named": {"a": Inner()}},
        {"rows": [{"anything": [None, {}]}]},
    ],
)
def test_what_its_annotations_say_is_let_through(told):
    expect_types(Outer(**told), name="part")


@pytest.mark.parametrize(
    ("told", "message"),
    [
        ({"text": 3}, r"part\.text must be str; got 3"),
        ({"number": "x"}, r"part\.number must be float; got 'x'"),
        ({"number": True}, r"part\.number must be float; got True"),
        ({"number": float("nan")}, r"part\.number must be float; got nan"),
        ({"number": 1e200}, r"part\.number must be float; got 1e\+200"),
        ({"flag": 1}, r"part\.flag must be bool; got 1"),
        ({"maybe": "x"}, r"part\.maybe must be float or NoneType; got 'x'"),
        ({"label": 1.5}, r"part\.label must be int or str; got 1\.5"),
        ({"label": None}, r"part\.label must be int or str; got None"),
        ({"number": 10**400}, r"part\.number must be float; got 10000"),
        ({"number": -float("inf")}, r"part\.number must be float; got -inf"),
        ({"label": -(2**63)}, r"part\.label must be int or str; got -9223372036854775808"),
        ({"two": (1, 2**63)}, r"part\.two\[1\] must be below 2 \*\* 63; got 9223372036854775808"),
        ({"two": (1, 2, 3)}, r"part\.two must be tuple\[int, int\]; got \(1, 2, 3\)"),
        ({"two": (1, -2)}, r"part\.two\[1\] must be 0 or more; got -2"),
        ({"two": [1, 2]}, r"part\.two must be tuple\[int, int\]; got \[1, 2\]"),
        ({"many": (Inner(), 5)}, r"part\.many\[1\] must be Inner; got 5"),
        ({"many": (Inner(count=2.5),)}, r"part\.many\[0\]\.count must be int; got 2\.5"),
        ({"inner": "x"}, r"part\.inner must be Inner; got 'x'"),
        ({"named": {"a": 1}}, r"part\.named\['a'\] must be Inner; got 1"),
        ({"named": [1]}, r"part\.named must be .*Mapping.*; got \[1\]"),
        ({"rows": "ab"}, r"part\.rows must be .*Sequence.*; got 'ab'"),
        ({"rows": [3]}, r"part\.rows\[0\] must be .*Mapping.*; got 3"),
        ({"text": list(range(99))}, r"part\.text must be str; got \[0, 1, .{40,60}…$"),
    ],
)
def test_what_is_something_else_is_refused_by_its_name(told, message):
    with pytest.raises(BadInput, match=message):
        expect_types(Outer(**told), name="part")


def test_a_whole_report_is_looked_through():
    values = {"a": Value(value=1, unit="pairs")}
    report = Report(name="x", version="1", values=values, provenance=provenance())
    expect_types(report, name="report")
    with pytest.raises(BadInput, match=r"report\.values\['a'\]\.unit must be str; got 7"):
        expect_types(
            Report(name="x", version="1", values={"a": Value(value=1, unit=7)}), name="report"
        )
