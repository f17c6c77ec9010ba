"""The gallery: what it keeps through a crash, and what it no longer holds after a deletion."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import textwrap
import threading
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tronie.errors import (
    BadArray,
    BadInput,
    GalleryError,
    GalleryLocked,
    GalleryMismatch,
    NotFound,
)
from tronie.gallery.exact import search
from tronie.gallery.records import Photograph
from tronie.gallery.store import Gallery

D = 8
DAY = date(2030, 6, 15)


def vector(n: int) -> np.ndarray:
    return np.random.default_rng(n).normal(size=D).astype(np.float32)


def photo(n: int, *, source: str | None = None) -> Photograph:
    return Photograph(
        source=source or f"{n}.jpg",
        sha256=hashlib.sha256(str(n).encode()).hexdigest(),
        box=(1.0, 2.0, 30.0, 40.0),
        detector_score=0.9,
        embedding=vector(n),
    )


def opened(
    path: Path,
    *,
    create: bool = True,
    contract: str = "c1",
    model: str = "sface",
    dimension: int = D,
    busy_timeout_s: float = 5.0,
) -> Gallery:
    return Gallery.open(
        path,
        contract=contract,
        model=model,
        detector="yunet",
        dimension=dimension,
        create=create,
        busy_timeout_s=busy_timeout_s,
    )


def unit(row: np.ndarray) -> np.ndarray:
    exact = row.astype(np.float64)
    return exact / np.sqrt((exact**2).sum())


def counted(path: Path, table: str) -> int:
    connection = sqlite3.connect(path)
    try:
        return connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
    finally:
        connection.close()


def files_of(path: Path) -> list[Path]:
    return sorted(path.parent.glob(path.name + "*"))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "g.db"


def test_what_was_added_is_there_after_reopening(path):
    with opened(path) as gallery:
        assert gallery.add("Ada", [photo(1), photo(2)], consent="signed 2029-01-02") == 2
        assert gallery.add("Bo", [photo(3)], retention_until=DAY) == 1
    with opened(path, create=False) as gallery:
        names, sources, rows = gallery.embeddings(today=DAY)
        ada, bo = gallery.people()
    assert names == ("Ada", "Ada", "Bo")
    assert sources == ("1.jpg", "2.jpg", "3.jpg")
    np.testing.assert_allclose(rows, [unit(vector(n)) for n in (1, 2, 3)], atol=1e-6)
    assert (ada.consent, ada.retention_until, ada.photographs) == ("signed 2029-01-02", None, 2)
    assert (bo.consent, bo.retention_until, bo.photographs) == ("", DAY, 1)


def test_an_empty_gallery_has_no_embeddings_but_their_length(path):
    with opened(path) as gallery:
        names, sources, rows = gallery.embeddings()
    assert names == sources == ()
    assert rows.shape == (0, D)


def test_embeddings_are_stored_little_endian_and_of_length_one(path):
    with opened(path) as gallery:
        gallery.add("Ada", [photo(1)])
    connection = sqlite3.connect(path)
    blob = connection.execute("SELECT vector FROM embeddings").fetchone()[0]
    connection.close()
    np.testing.assert_allclose(np.frombuffer(blob, "<f4"), unit(vector(1)), atol=1e-7)


def test_a_new_gallery_is_readable_by_its_owner_only(path):
    opened(path).close()
    assert path.stat().st_mode & 0o077 == 0


def test_a_name_typed_on_two_systems_is_one_person(path):
    with opened(path) as gallery:
        gallery.add("Rene\u0301", [photo(1)])
        gallery.add(" Ren\u00e9 ", [photo(2)])
        assert [(person.name, person.photographs) for person in gallery.people()] == [
            ("Ren\u00e9", 2)
        ]


def test_the_same_photograph_of_the_same_person_is_added_once(path):
    with opened(path) as gallery:
        assert gallery.add("Ada", [photo(1), photo(1)]) == 1
        assert gallery.add("Ada", [photo(1), photo(2)]) == 1
        assert gallery.people()[0].photographs == 2


def test_a_photograph_of_somebody_else_is_refused_and_nothing_is_added(path):
    with opened(path) as gallery:
        gallery.add("Ada", [photo(1)])
        with pytest.raises(BadInput, match=r"1\.jpg is already a photograph of Ada; nothing was"):
            gallery.add("Bo", [photo(2), photo(1)])
        assert [person.name for person in gallery.people()] == ["Ada"]
    assert counted(path, "photographs") == 1


def test_consent_given_once_stays_until_it_is_replaced(path):
    with opened(path) as gallery:
        gallery.add("Ada", [photo(1)], consent="by letter", retention_until=DAY)
        gallery.add("Ada", [photo(2)])
        assert gallery.people()[0].consent == "by letter"
        assert gallery.people()[0].retention_until == DAY
        gallery.set_consent("Ada", consent="withdrawn", retention_until=None)
        assert gallery.people()[0].consent == "withdrawn"
        assert gallery.people()[0].retention_until is None


def test_the_expired_are_reported_and_never_matched(path):
    with opened(path) as gallery:
        gallery.add("Ada", [photo(1)], retention_until=DAY)
        gallery.add("Bo", [photo(2)])
        assert gallery.embeddings(today=DAY).names == ("Ada", "Bo")  # the last day counts
        assert gallery.expired(today=DAY) == ()
        tomorrow = DAY + timedelta(days=1)
        assert gallery.embeddings(today=tomorrow).names == ("Bo",)
        assert gallery.expired(today=tomorrow) == ("Ada",)
        assert gallery.purge_expired(today=tomorrow) == ("Ada",)
        assert [person.name for person in gallery.people()] == ["Bo"]


@pytest.mark.parametrize("how", ["delete", "purge"])
def test_after_a_deletion_no_file_of_the_gallery_holds_the_name_or_the_numbers(path, how):
    name, note = "Zuleika Unmistakable", "letter of the 3rd"
    with opened(path) as gallery:
        for n in range(40):
            gallery.add(f"person {n}", [photo(n)])
        gallery.add(
            name, [photo(100, source="zuleika.jpg")], consent=note, retention_until=date(2000, 1, 1)
        )
        traces = [
            name.encode(),
            b"zuleika.jpg",
            note.encode(),
            photo(100).sha256.encode(),
            unit(vector(100)).astype("<f4").tobytes(),
        ]
        before = b"".join(file.read_bytes() for file in files_of(path))
        assert all(trace in before for trace in traces)
        if how == "delete":
            gallery.delete(name)
        else:
            assert gallery.purge_expired(today=DAY) == (name,)
        during = b"".join(file.read_bytes() for file in files_of(path))
        assert not any(trace in during for trace in traces)
        assert len(gallery.people()) == 40
    after = b"".join(file.read_bytes() for file in files_of(path))
    assert not any(trace in after for trace in traces)
    assert counted(path, "photographs") == counted(path, "embeddings") == 40


def test_a_deletion_gives_the_room_back(path):
    with opened(path) as gallery:
        gallery.add("Ada", [photo(1)])
        gallery.add("Bo", [photo(n) for n in range(10, 200)])
        gallery.wipe()
        before = path.stat().st_size
        gallery.delete("Bo")
        assert path.stat().st_size < before / 2
    connection = sqlite3.connect(path)
    assert connection.execute("PRAGMA freelist_count").fetchone() == (0,)
    connection.close()


def test_a_deletion_while_another_reads_says_what_is_left_and_wipe_finishes_it(path):
    with opened(path, busy_timeout_s=0.05) as gallery:
        gallery.add("Zuleika", [photo(1)])
        gallery.add("Bo", [photo(2)])
        reader = sqlite3.connect(path, isolation_level=None)
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM people").fetchone()
        with pytest.raises(GalleryLocked, match=r"Zuleika: gone from the tables of g\.db"):
            gallery.delete("Zuleika")
        reader.execute("COMMIT")
        reader.close()
        assert [person.name for person in gallery.people()] == ["Bo"]
        gallery.wipe()
        assert not any(b"Zuleika" in file.read_bytes() for file in files_of(path))


def test_asking_again_while_another_still_reads_is_refused_again_and_reopening_wipes(path):
    with opened(path, busy_timeout_s=0.05) as gallery:
        gallery.add("Zuleika", [photo(1)], retention_until=date(2000, 1, 1))
        gallery.add("Bo", [photo(2)])
        reader = sqlite3.connect(path, isolation_level=None)
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM people").fetchone()
        with pytest.raises(GalleryLocked, match="Zuleika: gone from the tables"):
            gallery.purge_expired()
        with pytest.raises(GalleryLocked, match="what was deleted: gone from the tables"):
            gallery.purge_expired()
        with pytest.raises(GalleryLocked, match="what was deleted: gone from the tables"):
            gallery.delete("Zuleika")
        assert gallery.embeddings().names == ("Bo",)  # reading goes on
    assert any(b"Zuleika" in file.read_bytes() for file in files_of(path))
    reader.execute("COMMIT")
    reader.close()
    opened(path).close()
    assert not any(b"Zuleika" in file.read_bytes() for file in files_of(path))


KILLED = textwrap.dedent(
    """
    import os, signal, sys
    import sqlalchemy as sql
    sys.path.insert(0, sys.argv[1])
    from test_store import opened, photo
    from pathlib import Path

    gallery = opened(Path(sys.argv[2]))
    left = int(sys.argv[3])

    @sql.event.listens_for(gallery._engine, "connect")
    def small_cache(connection, _):
        connection.execute("PRAGMA cache_size=1")  # unfinished pages spill to the log at once

    @sql.event.listens_for(gallery._engine, "before_cursor_execute")
    def die(connection, cursor, statement, *rest):
        global left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    gallery._engine.dispose()
    gallery.add("Bo", [photo(n) for n in range(10, 40)])
    """
)


@pytest.mark.slow
@pytest.mark.parametrize("statement", [2, 80])
def test_a_process_killed_while_adding_loses_nothing_and_leaves_nothing_half_written(
    path, statement
):
    with opened(path) as gallery:
        gallery.add("Ada", [photo(1), photo(2)])
        before = gallery.embeddings().rows
    arguments = [str(Path(__file__).parent), str(path), str(statement)]
    done = subprocess.run([sys.executable, "-c", KILLED, *arguments], env=with_source())
    assert done.returncode == -signal.SIGKILL
    with opened(path, create=False) as gallery:
        assert [person.name for person in gallery.people()] == ["Ada"]
        np.testing.assert_array_equal(gallery.embeddings().rows, before)
        assert gallery.add("Bo", [photo(n) for n in range(10, 40)]) == 30
    assert counted(path, "photographs") == counted(path, "embeddings") == 32


def with_source() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2] / "src")}


def test_threads_may_add_at_once(path):
    with opened(path) as gallery:

        def add(first: int) -> None:
            for n in range(first, first + 5):
                gallery.add(f"person {n}", [photo(n)])

        threads = [threading.Thread(target=add, args=(first,)) for first in (0, 5, 10)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(gallery.embeddings().names) == 15


def test_an_unknown_person_is_refused_with_the_nearest_name(path):
    with opened(path) as gallery:
        gallery.add("Ada Lovelace", [photo(1)])
        with pytest.raises(NotFound, match=r"nobody is called Ada Lovelac in g\.db\. Did you mean"):
            gallery.delete("Ada Lovelac")


def test_consent_of_an_unknown_person_is_refused(path):
    with opened(path) as gallery, pytest.raises(NotFound, match=r"nobody is called Bo in g\.db$"):
        gallery.set_consent("Bo", consent="", retention_until=None)


@pytest.mark.parametrize("name", ["", "  ", "a\nb", "x" * 201])
def test_a_name_that_is_none_is_refused(path, name):
    with opened(path) as gallery, pytest.raises(BadInput, match="1 to 200 printable characters"):
        gallery.add(name, [photo(1)])


def test_adding_nothing_is_refused(path):
    with opened(path) as gallery, pytest.raises(BadInput, match="nothing to add for Ada"):
        gallery.add("Ada", [])


def test_an_embedding_of_another_length_is_refused(path):
    wrong = Photograph(
        source="a.jpg", sha256="00", box=(0, 0, 1, 1), detector_score=1, embedding=np.ones(3)
    )
    with (
        opened(path) as gallery,
        pytest.raises(BadArray, match=r"a\.jpg: the embedding must have shape \(8,\); got \(3,\)"),
    ):
        gallery.add("Ada", [wrong])


def test_a_gallery_of_another_model_is_refused_with_both_names(path):
    opened(path, model="sface").close()
    with pytest.raises(
        GalleryMismatch, match=r"made with model sface, .*c1\); you asked for model mbf, .*c2\)"
    ):
        opened(path, contract="c2", model="mbf")


def test_a_gallery_of_another_dimension_is_refused(path):
    opened(path).close()
    with pytest.raises(GalleryMismatch, match=r"8 numbers .* 16 numbers"):
        opened(path, dimension=16)


def test_a_missing_gallery_is_refused_and_not_made(path):
    with pytest.raises(NotFound, match=r"there is no gallery g\.db; enroll somebody"):
        opened(path, create=False)
    assert files_of(path) == []


def test_an_empty_file_is_no_gallery_until_one_is_made_of_it(path):
    path.touch()
    with pytest.raises(NotFound, match=r"there is no gallery g\.db"):
        opened(path, create=False)
    with opened(path) as gallery:
        assert gallery.people() == []


def test_a_missing_folder_is_refused(tmp_path):
    with pytest.raises(GalleryError, match=r"cannot make the gallery g\.db: No such file"):
        opened(tmp_path / "none" / "g.db")


def test_a_folder_is_refused(tmp_path):
    with pytest.raises(GalleryError, match=r"unable to open database file\. It must be a file"):
        opened(tmp_path)


def test_a_file_that_is_no_database_is_refused_and_left_alone(path):
    path.write_bytes(b"not a database, " * 500)
    with pytest.raises(GalleryError, match=r"g\.db is damaged or no gallery: .*not a database"):
        opened(path)
    assert path.read_bytes() == b"not a database, " * 500


def test_another_programs_database_is_refused_and_left_alone(path):
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE songs (title TEXT)")
    connection.close()
    before = path.read_bytes()
    with pytest.raises(GalleryError, match=r"g\.db is a database, but no gallery of tronie"):
        opened(path)
    assert path.read_bytes() == before


@pytest.mark.parametrize("damage", ["truncated", "overwritten"])
def test_a_damaged_gallery_is_refused_with_advice(path, damage):
    with opened(path) as gallery:
        for n in range(30):
            gallery.add(f"person {n}", [photo(n)])
    whole = path.read_bytes()
    if damage == "truncated":
        path.write_bytes(whole[: len(whole) // 2])
    else:
        path.write_bytes(whole[:4096] + b"\xa5" * (len(whole) - 4096))
    with pytest.raises(GalleryError, match=r"g\.db is damaged .* restore it from a backup"):
        opened(path)


@pytest.mark.parametrize("blob", [b"short", np.full(D, 3.0, "<f4").tobytes(), b"\xff" * 4 * D])
def test_a_damaged_embedding_is_refused(path, blob):
    with opened(path) as gallery:
        gallery.add("Ada", [photo(1)])
        connection = sqlite3.connect(path)
        connection.execute("UPDATE embeddings SET vector = ?", (blob,))
        connection.commit()
        connection.close()
        with pytest.raises(GalleryError, match=r"an embedding (has the wrong length|is no unit)"):
            gallery.embeddings()


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ("meta SET schema = 'x'", "schema in its table meta is 'x'"),
        ("meta SET dimension = 'abc'", "dimension in its table meta is 'abc'"),
        ("meta SET model = x'00'", "model in its table meta is"),
        ("people SET retention_until = 'garbage'", "the retention date 'garbage' is no date"),
        ("people SET retention_until = 7", "the retention date 7 is no date"),
        ("people SET name = x'ff'", "name, consent or date of"),
        ("embeddings SET vector = 'text'", "an embedding has the wrong length"),
    ],
)
def test_a_value_of_the_wrong_type_is_told_as_damage(path, change, found):
    with opened(path) as gallery:
        gallery.add("Ada", [photo(1)])
    connection = sqlite3.connect(path)
    connection.execute(f"UPDATE {change}")
    connection.commit()
    connection.close()

    def look() -> None:
        with opened(path) as gallery:
            gallery.people()
            gallery.embeddings()

    with pytest.raises(GalleryError, match=r"g\.db is damaged or no gallery: " + found):
        look()


def test_nobody_is_added_to_whose_time_is_over_unless_a_new_date_is_given(path):
    with opened(path) as gallery:
        gallery.add("Ada", [photo(1)], retention_until=date(2001, 1, 1))
        with pytest.raises(BadInput, match=r"retention date of Ada in g\.db has passed"):
            gallery.add("Ada", [photo(2)])
        assert gallery.people()[0].photographs == 1
        assert gallery.add("Ada", [photo(2)], retention_until=date(2999, 1, 1)) == 1


def test_a_gallery_of_a_newer_tronie_is_refused(path):
    opened(path).close()
    connection = sqlite3.connect(path)
    connection.execute("UPDATE meta SET schema = 99")
    connection.commit()
    connection.close()
    with pytest.raises(GalleryError, match=r"written by a newer tronie \(schema 99; .* up to 1\)"):
        opened(path)


def test_a_gallery_can_be_looked_after_without_its_models(path):
    with opened(path, contract="c7", model="mbf") as gallery:
        gallery.add("Ada", [photo(1)])
    with Gallery.open_as_made(path) as gallery:
        made = gallery.made
    assert (made["contract"], made["model"], made["detector"]) == ("c7", "mbf", "yunet")
    assert (made["schema"], made["dimension"]) == (1, D)
    with Gallery.open_as_made(path) as gallery:
        assert gallery.embeddings().rows.shape == (1, D)
        gallery.delete("Ada")
        assert gallery.people() == []


def test_looking_after_a_missing_gallery_is_refused_and_makes_none(path):
    with pytest.raises(NotFound, match=r"there is no gallery g\.db"):
        Gallery.open_as_made(path)
    assert files_of(path) == []


def test_looking_after_another_programs_database_is_refused(path):
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE songs (title TEXT)")
    connection.close()
    with pytest.raises(GalleryError, match=r"g\.db is a database, but no gallery of tronie"):
        Gallery.open_as_made(path)


def test_a_locked_gallery_is_refused_in_plain_words_and_nothing_is_lost(path):
    with opened(path, busy_timeout_s=0.05) as gallery:
        gallery.add("Ada", [photo(1)])
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(GalleryLocked, match=r"g\.db is in use by another process; try again"):
            gallery.add("Bo", [photo(2)])
        assert gallery.embeddings().names == ("Ada",)  # reading goes on beside a writer
        other.execute("ROLLBACK")
        other.close()
        assert gallery.add("Bo", [photo(2)]) == 1


NAMES = st.sampled_from(["Ada", "Bo", "Cy", "d'Arc; --", "Ünï"])
PHOTOS = st.lists(st.integers(0, 12), min_size=1, max_size=3)
DATES = st.sampled_from([None, DAY - timedelta(days=1), DAY, DAY + timedelta(days=1)])


class GalleryAgainstADictionary(RuleBasedStateMachine):
    """Any order of adding, deleting, purging, searching and reopening equals a dictionary."""

    @initialize()
    def begin(self):
        self.folder = Path(tempfile.mkdtemp())
        self.gallery = opened(self.folder / "g.db")
        self.people: dict[str, tuple[list[int], date | None]] = {}

    @rule(name=NAMES, numbers=PHOTOS, until=DATES)
    def add(self, name, numbers, until):
        taken = {n for other, (has, _) in self.people.items() if other != name for n in has}
        has, kept_until = self.people.get(name, ([], None))
        if taken & set(numbers):
            with pytest.raises(BadInput, match="is already a photograph of"):
                self.gallery.add(name, [photo(n) for n in numbers], retention_until=until)
            return
        new = [n for n in dict.fromkeys(numbers) if n not in has]
        added = self.gallery.add(name, [photo(n) for n in numbers], retention_until=until)
        assert added == len(new)
        self.people[name] = (has + new, until or kept_until)

    @rule(name=NAMES)
    def delete(self, name):
        if name in self.people:
            self.gallery.delete(name)
            del self.people[name]
        else:
            with pytest.raises(NotFound, match="nobody is called"):
                self.gallery.delete(name)

    @rule()
    def purge(self):
        gone = {name for name, (_, until) in self.people.items() if until and until < DAY}
        assert set(self.gallery.purge_expired(today=DAY)) == gone
        for name in gone:
            del self.people[name]

    @rule()
    def reopen(self):
        self.gallery.close()
        self.gallery = opened(self.folder / "g.db", create=False)

    @precondition(lambda self: self.people)
    @rule(number=st.integers(0, 12))
    def look_for(self, number):
        names, _, matrix = self.gallery.embeddings(today=DAY)
        expected = [
            (name, unit(vector(n)))
            for name, (has, until) in sorted(self.people.items())
            for n in has
            if until is None or until >= DAY
        ]
        assert list(names) == [name for name, _ in expected]
        probe = unit(vector(number))
        found = search(probe[None].astype(np.float32), matrix, top=1)[0]
        if expected:
            best = max(float(probe @ row) for _, row in expected)
            assert abs(float(found.scores[0]) - best) < 1e-6
        else:
            assert len(found.rows) == 0

    @invariant()
    def people_are_those_of_the_dictionary(self):
        found = {p.name: (p.photographs, p.retention_until) for p in self.gallery.people()}
        assert found == {name: (len(has), until) for name, (has, until) in self.people.items()}

    def teardown(self):
        self.gallery.close()
        shutil.rmtree(self.folder)


GalleryAgainstADictionary.TestCase.settings = settings(
    max_examples=10, stateful_step_count=15, deadline=None, derandomize=True, database=None
)
TestGallery = GalleryAgainstADictionary.TestCase
