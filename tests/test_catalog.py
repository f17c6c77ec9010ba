"""A catalogue made on the spot: listed, loaded and refused, with nothing else imported."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tronie import catalog
from tronie.errors import NotFound


@pytest.fixture
def tray(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A package of three entries, one of which cannot be imported, and two data files."""
    package = tmp_path / "toy_margins"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "arcface.py").write_text('"""ArcFace.\n\nSource: a paper.\n"""\nSCALE = 64\n')
    (package / "sv_softmax.py").write_text("SCALE = 30\n")
    (package / "broken.py").write_text("raise RuntimeError('this entry must not be imported')\n")
    (package / "_shared.py").write_text("")
    (package / "yunet-2023mar.toml").write_text("license = 'MIT'\n")
    (package / "old_one.toml").write_text("license = 'none'\n")
    monkeypatch.syspath_prepend(tmp_path)
    yield package.name
    for name in [name for name in sys.modules if name.split(".")[0] == package.name]:
        del sys.modules[name]


def test_a_folder_lists_its_files_as_keys_and_imports_none(tray):
    assert catalog.entries(tray) == ("arcface", "broken", "sv-softmax")
    assert not [name for name in sys.modules if name.startswith(f"{tray}.")]


def test_loading_one_entry_imports_that_entry_only(tray):
    assert catalog.load(tray, "arcface", "SCALE") == 64
    assert [name for name in sys.modules if name.startswith(f"{tray}.")] == [f"{tray}.arcface"]


@pytest.mark.parametrize("key", ["sv-softmax", "sv_softmax"])
def test_a_key_may_be_written_with_hyphen_or_underscore(tray, key):
    assert catalog.load(tray, key, "SCALE") == 30


def test_data_files_are_entries_by_their_suffix(tray):
    assert catalog.data_entries(tray, ".toml") == ("old-one", "yunet-2023mar")
    assert catalog.data_file(tray, "old-one", ".toml").read_text() == "license = 'none'\n"


def test_a_folder_without_init_is_a_data_catalogue_too(tmp_path, monkeypatch):
    folder = tmp_path / "toy_zoo"
    folder.mkdir()
    (folder / "sface.toml").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    assert catalog.data_entries("toy_zoo", ".toml") == ("sface",)
    assert catalog.entries("toy_zoo") == ()


def test_the_docstring_is_read_without_importing_the_entry(tray):
    assert catalog.docstring(tray, "arcface") == "ArcFace.\n\nSource: a paper."
    assert catalog.docstring(tray, "broken") == ""
    assert f"{tray}.arcface" not in sys.modules


def test_an_unknown_key_is_answered_with_the_nearest_and_the_list(tray):
    expected = (
        rf"^no entry 'arkface' in {tray}\. Did you mean 'arcface'\? "
        r"It holds: arcface, broken, sv-softmax\.$"
    )
    with pytest.raises(NotFound, match=expected):
        catalog.load(tray, "arkface", "SCALE")


def test_a_key_that_is_near_nothing_gets_the_list_alone(tray):
    with pytest.raises(NotFound, match=rf"^no entry 'zzz' in {tray}\. It holds: arcface, "):
        catalog.load(tray, "zzz", "SCALE")


def test_an_unknown_data_key_is_answered_in_the_same_words(tray):
    with pytest.raises(NotFound, match=r"Did you mean 'yunet-2023mar'\? It holds: old-one, "):
        catalog.data_file(tray, "yunet-2023mai", ".toml")


def test_an_empty_catalogue_says_so():
    assert str(catalog.not_found("a", [], where="a.b")) == "no entry 'a' in a.b. It holds nothing."


@pytest.mark.parametrize("package", ["tronie.no_such_room", "no_such_package.x", "tronie.errors"])
def test_what_is_no_package_is_no_catalogue(package):
    with pytest.raises(NotFound, match=rf"^no catalogue '{package}': it must be a package"):
        catalog.entries(package)


def test_variants_are_read_from_the_source_and_not_run(tray, tmp_path):
    entry = tmp_path / tray / "iresnet.py"
    entry.write_text('VARIANTS: dict = {"100": make(), "18": 2}\nraise RuntimeError("not run")\n')
    assert catalog.variants(tray, "iresnet") == ("100", "18")
    entry.write_text('SIZES = {"tiny": 1}\n')
    assert catalog.variants(tray, "iresnet") == ()
    assert catalog.variants(tray, "iresnet", table="SIZES") == ("tiny",)


@pytest.fixture
def networks(tray: str, tmp_path: Path) -> str:
    """The catalogue, with the variants of two entries, one's name being the other's beginning."""
    (tmp_path / tray / "vit.py").write_text('VARIANTS = {"b": 1, "poly-s": 2}\nraise KeyError\n')
    (tmp_path / tray / "vit_poly.py").write_text('VARIANTS = {"b": 3, "7x7-t": 4}\n')
    return tray


def test_every_variant_is_listed_with_the_key_of_its_entry_and_none_imported(networks):
    names = ("vit-b", "vit-poly-s", "vit-poly-b", "vit-poly-7x7-t")
    assert catalog.variant_names(networks) == names
    assert not [name for name in sys.modules if name.startswith(f"{networks}.")]


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("vit-b", ("vit", "b")),
        ("vit-poly-s", ("vit", "poly-s")),
        ("vit-poly-b", ("vit-poly", "b")),
        ("vit_poly_7x7_t", ("vit-poly", "7x7-t")),
    ],
)
def test_a_name_is_split_into_its_entry_and_its_variant(networks, name, parts):
    assert catalog.variant_parts(networks, name) == parts


def test_a_name_asked_for_exactly_must_be_written_as_it_is_listed(networks):
    assert catalog.variant_parts(networks, "vit-poly-b", exact=True) == ("vit-poly", "b")
    with pytest.raises(NotFound, match=r"^no entry 'vit_poly_b' in .* Did you mean 'vit-poly-b'\?"):
        catalog.variant_parts(networks, "vit_poly_b", exact=True)


@pytest.mark.parametrize("name", ["vit", "vit-", "b", "vit-poly-x"])
def test_what_no_entry_lists_is_answered_with_all_the_variants(networks, name):
    expected = rf"^no entry '{name}' in {networks}\..* It holds: vit-b, vit-poly-7x7-t, "
    with pytest.raises(NotFound, match=expected):
        catalog.variant_parts(networks, name)
