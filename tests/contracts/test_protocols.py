"""Every entry of evaluation/protocols keeps the same promises."""

from __future__ import annotations

import inspect

import pytest

from tronie import catalog
from tronie.evaluation.protocol import Protocol
from tronie.evaluation.report import Report

PACKAGE = "tronie.evaluation.protocols"
KEYS = catalog.entries(PACKAGE)


def test_there_is_an_entry():
    assert {"lfw-type", "widerface", "fddb"} <= set(KEYS)


@pytest.mark.parametrize("key", KEYS)
def test_an_entry_says_what_it_is_and_where_its_rules_come_from(key):
    protocol = catalog.load(PACKAGE, key, "PROTOCOL")
    assert isinstance(protocol, Protocol)
    assert protocol.name
    assert protocol.version
    assert len(protocol.source) > 20
    assert "Source: " in catalog.docstring(PACKAGE, key)


@pytest.mark.parametrize("key", KEYS)
def test_an_entry_scores_measurements_and_takes_the_provenance(key):
    parameters = inspect.signature(catalog.load(PACKAGE, key, "PROTOCOL").score).parameters
    assert parameters["provenance"].default is None


def test_no_two_entries_share_a_name():
    names = [catalog.load(PACKAGE, key, "PROTOCOL").name for key in KEYS]
    assert sorted(names) == sorted(set(names))


@pytest.mark.parametrize("key", KEYS)
def test_what_an_entry_measures_comes_first_and_its_options_by_name(key):
    """Embeddings, boxes or label maps by place, at most three of them; nothing opens a file."""
    parameters = inspect.signature(catalog.load(PACKAGE, key, "PROTOCOL").score).parameters
    by_place = [p for p in parameters.values() if p.kind is p.POSITIONAL_OR_KEYWORD]
    assert 1 <= len(by_place) <= 3
    assert all(p.default is p.empty for p in by_place)
    assert parameters["provenance"].kind is inspect.Parameter.KEYWORD_ONLY


@pytest.mark.parametrize("key", KEYS)
def test_an_entry_says_what_it_needs_and_what_its_report_holds(key):
    protocol = catalog.load(PACKAGE, key, "PROTOCOL")
    assert protocol.needs
    assert inspect.signature(protocol.score, eval_str=True).return_annotation is Report
