"""People, photographs, consent and embeddings in SQL; a crash loses nothing.

    meta          schema, contract, model, detector, dimension, created      one row
    people        id, name (unique), consent, retention_until, created
    photographs   id, person, source, sha256 (unique), box, detector_score, created
    embeddings    photograph, vector: D float32, little-endian, of length 1

A gallery is bound to the contract its embeddings were made with (model, preprocessing,
alignment, detector): scores across two contracts mean nothing, so another is refused.
Promised: a call that returned survives a crash of process and machine (write-ahead log,
synchronous FULL), one that did not leaves nothing. Deleting zeroes freed pages, empties the
log and rewrites the file: name and numbers are in no file of the gallery. While a reader holds
that up, PRAGMA user_version is 1 and every opening tries again. Not promised: file systems,
snapshots and backups may keep old blocks. The file is not encrypted; only its owner may read it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import sqlalchemy as sql
from numpy.typing import NDArray

from tronie.errors import GalleryError, GalleryLocked, NotFound
from tronie.gallery import records
from tronie.gallery.records import Embeddings, Person, Photograph
from tronie.geometry.hypersphere import normalize

SCHEMA = 1
_MARK = "PRAGMA user_version=1"  # something deleted is left in the file


def _texts(*names: str) -> list[sql.Column[str]]:
    return [sql.Column(name, sql.String, nullable=False) for name in names]


_tables = sql.MetaData()
_id_of = partial(sql.ForeignKey, ondelete="CASCADE")
_meta = sql.Table(
    "meta",
    _tables,
    sql.Column("schema", sql.Integer, nullable=False),
    *_texts("contract", "model", "detector", "created"),
    sql.Column("dimension", sql.Integer, nullable=False),
)
_people = sql.Table(
    "people",
    _tables,
    sql.Column("id", sql.Integer, primary_key=True),
    sql.Column("name", sql.String, nullable=False, unique=True),
    *_texts("consent", "created"),
    sql.Column("retention_until", sql.Date),
)
_until = sql.type_coerce(_people.c.retention_until, sql.String)  # as stored: it may be damaged
_photographs = sql.Table(
    "photographs",
    _tables,
    sql.Column("id", sql.Integer, primary_key=True),
    sql.Column("person_id", _id_of("people.id"), nullable=False, index=True),
    sql.Column("sha256", sql.String, nullable=False, unique=True),
    *_texts("source", "created"),
    sql.Column("box", sql.JSON, nullable=False),
    sql.Column("detector_score", sql.Float, nullable=False),
)
_embeddings = sql.Table(
    "embeddings",
    _tables,
    sql.Column("photo_id", _id_of("photographs.id"), primary_key=True),
    sql.Column("vector", sql.LargeBinary, nullable=False),
)


class Gallery(AbstractContextManager["Gallery"]):
    """People and what is known of their faces. Open with `Gallery.open`; close after use.

    Threads and processes may share one: writers wait for each other up to `busy_timeout_s`.
    Every method may raise GalleryLocked when that was too short, and GalleryError when the
    file is damaged or cannot be written.
    """

    def __init__(self, path: Path, engine: sql.Engine, made: dict[str, Any]) -> None:
        self.path = path
        self.made = made
        """Schema, contract, model, detector, dimension, created."""
        self._engine = engine
        with suppress(GalleryError):  # whoever came to read can read all the same
            self._wipe()

    @staticmethod
    def open(
        path: str | Path,
        *,
        contract: str,
        model: str,
        detector: str,
        dimension: int,
        create: bool,
        busy_timeout_s: float = 5.0,
    ) -> Gallery:
        """Open the gallery at `path`, or make it where there is none and `create` is true.

        Args:
            contract: Identifies everything that shapes an embedding; the gallery keeps it.
            model: The recognizer's name and `detector` the detector's, for messages.
            dimension: D, numbers in an embedding.

        Raises:
            NotFound: there is no gallery, and `create` is false.
            GalleryError: no gallery, or of a newer tronie; GalleryMismatch: another contract.
        """
        asked = dict(contract=contract, model=model, detector=detector, dimension=dimension)
        return _opened(Path(path).absolute(), busy_timeout_s, asked, create=create)

    @staticmethod
    def open_as_made(path: str | Path, *, busy_timeout_s: float = 5.0) -> Gallery:
        """Open an existing gallery with whatever contract it was made with.

        For looking after it (list, delete, purge, consent), not for comparing embeddings.
        """
        return _opened(Path(path).absolute(), busy_timeout_s, None, create=False)

    def add(
        self,
        name: str,
        photographs: Sequence[Photograph],
        *,
        consent: str | None = None,
        retention_until: date | None = None,
    ) -> int:
        """Add photographs of one person: all of them, or none if anything goes wrong.

        A photograph this person already has is passed over. Consent and retention of
        somebody who is already there change only where they are given.

        Returns:
            How many photographs were new.

        Raises:
            BadInput: no photograph, an unusable name, or a photograph of somebody else; or
                the person's retention date has passed and no other is given.
            BadArray: an embedding of the wrong shape, zero or not finite.
        """
        name = records.clean_name(name)
        records.check_photographs(name, photographs, dimension=self.made["dimension"])
        unit = normalize(np.stack([photo.embedding for photo in photographs]))[0]
        with self._writing() as connection:
            person = _person_id(connection, name) or _insert_person(connection, name)
            if retention_until is None and name in _expired(connection, self.path, None):
                raise records.time_is_over(self.path, name=name)
            given = {"consent": consent, "retention_until": retention_until}
            if changes := {key: value for key, value in given.items() if value is not None}:
                connection.execute(_people.update().where(_people.c.id == person).values(changes))
            new = 0
            for photo, vector in zip(photographs, unit, strict=True):
                owner = _owner(connection, photo)
                if owner is None:
                    _insert_photograph(connection, person, photo, vector)
                    new += 1
                elif owner != name:
                    raise records.taken(photo, owner=owner, name=name)
        return new

    def people(self) -> list[Person]:
        """Everybody in the gallery, by name, the expired among them."""
        query = (
            sql.select(
                *(_people.c[key] for key in ("name", "consent", "created")),
                _until.label("retention_until"),
                sql.func.count(_photographs.c.id).label("photographs"),
            )
            .outerjoin(_photographs)
            .group_by(_people.c.id)
            .order_by(_people.c.name)
        )
        with self._reading() as connection:
            found = connection.execute(query).mappings().all()
        return [records.to_person(row, self.path) for row in found]

    def embeddings(self, *, today: date | None = None) -> Embeddings:
        """Every photograph that may be matched, by name, then in the order they were added.

        The expired of `today` (the UTC day by default) are left out; `expired` names them.
        """
        with self._reading() as connection:
            gone = _expired(connection, self.path, today)
            return self._vectors(connection, _people.c.name.not_in(gone))

    def embeddings_of(self, name: str) -> Embeddings:
        """A person's photographs, in the order they were added, expired or not."""
        with self._reading() as connection:
            person = self._require(connection, name)
            return self._vectors(connection, _people.c.id == person)

    def expired(self, *, today: date | None = None) -> tuple[str, ...]:
        """Names of those whose retention date has passed, sorted. They are never matched."""
        with self._reading() as connection:
            return _expired(connection, self.path, today)

    def set_consent(self, name: str, *, consent: str, retention_until: date | None) -> None:
        """Replace note and retention date (None: no limit); NotFound if there is no `name`."""
        with self._writing() as connection:
            person = self._require(connection, name)
            changes = {"consent": consent, "retention_until": retention_until}
            connection.execute(_people.update().where(_people.c.id == person).values(changes))

    def delete(self, name: str) -> None:
        """Forget a person: rows, freed pages and log, at once.

        Raises:
            NotFound: nobody has this name.
            GalleryLocked: somebody reads: the person is gone, the file not yet wiped.
        """
        try:
            with self._writing() as connection:
                person = self._require(connection, name)
                self._forget(connection, _people.c.id == person)
        except NotFound:
            self._wipe()  # perhaps asked a second time
            raise
        self._wipe((name,))

    def purge_expired(self, *, today: date | None = None) -> tuple[str, ...]:
        """Forget everybody whose retention date has passed, as `delete` does; their names."""
        with self._writing() as connection:
            if names := _expired(connection, self.path, today):
                self._forget(connection, _people.c.name.in_(names))
        self._wipe(names)
        return names

    def wipe(self) -> None:
        """Rewrite the file without its freed pages and empty the log; GalleryLocked if in use."""
        with self._writing() as connection:
            connection.exec_driver_sql(_MARK)
        self._wipe()

    def close(self) -> None:
        """Close the file."""
        self._engine.dispose()

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextmanager
    def _reading(self) -> Iterator[sql.Connection]:
        with _plain_errors(self.path), self._engine.connect() as connection:
            yield connection

    @contextmanager
    def _writing(self) -> Iterator[sql.Connection]:
        with self._reading() as connection, _transaction(connection):
            yield connection

    def _forget(self, connection: sql.Connection, which: sql.ColumnElement[bool]) -> None:
        connection.execute(sql.delete(_people).where(which))
        connection.exec_driver_sql(_MARK)

    def _wipe(self, names: Sequence[str] = ()) -> None:
        """Wipe if something deleted is left in the file; `names` says what, in the refusal."""
        try:
            with self._reading() as connection:
                run = connection.exec_driver_sql
                if not run("PRAGMA user_version").scalar_one():
                    return
                run("VACUUM")
                if run("PRAGMA wal_checkpoint(TRUNCATE)").scalar_one():
                    raise records.not_wiped(self.path, names=names)
                run("PRAGMA user_version=0")
        except GalleryLocked as fault:
            raise records.not_wiped(self.path, names=names) from fault

    def _require(self, connection: sql.Connection, name: str) -> int:
        person = _person_id(connection, records.clean_name(name))
        if person is None:
            names = connection.execute(sql.select(_people.c.name)).scalars().all()
            raise records.nobody(self.path, name=name, names=names)
        return person

    def _vectors(self, connection: sql.Connection, which: sql.ColumnElement[bool]) -> Embeddings:
        query = (
            sql.select(_people.c.name, _photographs.c.source, _embeddings.c.vector)
            .join_from(_people, _photographs)
            .join(_embeddings)
            .where(which)
            .order_by(_people.c.name, _photographs.c.id)
        )
        found = connection.execute(query).all()
        names, sources, blobs = zip(*found, strict=True) if found else ((), (), ())
        rows = records.from_blobs(blobs, self.path, dimension=self.made["dimension"])
        return Embeddings(names, sources, rows)


def _engine(path: Path, busy_timeout_s: float) -> sql.Engine:
    engine = sql.create_engine(
        sql.URL.create("sqlite", database=str(path)),
        isolation_level="AUTOCOMMIT",  # transactions are opened by _transaction, and there only
        connect_args={"timeout": busy_timeout_s},
    )

    @sql.event.listens_for(engine, "connect")
    def configure(connection: sqlite3.Connection, _record: Any) -> None:
        connection.executescript(
            "PRAGMA foreign_keys=ON; PRAGMA secure_delete=ON;"
            "PRAGMA synchronous=FULL; PRAGMA temp_store=MEMORY;"
        ).close()

    return engine


@contextmanager
def _transaction(connection: sql.Connection) -> Iterator[None]:
    # IMMEDIATE: the lock is taken before anything is read, so no two writers can both decide.
    connection.exec_driver_sql("BEGIN IMMEDIATE")
    try:
        yield
        connection.exec_driver_sql("COMMIT")
    except BaseException:
        connection.connection.rollback()  # nothing to do where SQLite did it itself
        raise


@contextmanager
def _plain_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except (sql.exc.DBAPIError, sqlite3.Error) as error:
        cause = error.orig if isinstance(error, sql.exc.DBAPIError) else error
        code = getattr(cause, "sqlite_errorcode", 0)
        raise records.sqlite_refused(path, code=code, text=str(cause)) from error


def _opened(
    path: Path, busy_timeout_s: float, asked: dict[str, Any] | None, *, create: bool
) -> Gallery:
    """A checked gallery; made from `asked` if there is none and `create`."""
    if not path.exists():
        records.make_file(path, create=create)
    engine = _engine(path, busy_timeout_s)
    try:
        with _plain_errors(path), engine.connect() as connection:
            found = connection.exec_driver_sql("PRAGMA quick_check(1)").scalar_one()
            if found != "ok":
                raise records.damaged(path, str(found))
            if not sql.inspect(connection).get_table_names():
                if asked is None or not create:
                    raise records.no_gallery(path)
                _create(connection, asked)
            has_meta = sql.inspect(connection).has_table("meta")
            made = connection.execute(sql.select(_meta)).mappings().all() if has_meta else []
        records.check_made_with(path, found=made, asked=asked, schema=SCHEMA)
        return Gallery(path, engine, dict(made[0]))
    except BaseException:
        engine.dispose()
        raise


def _create(connection: sql.Connection, asked: dict[str, Any]) -> None:
    connection.exec_driver_sql("PRAGMA journal_mode=WAL")
    with _transaction(connection):
        if not sql.inspect(connection).get_table_names():  # another process may have been first
            _tables.create_all(connection)
            row = {"schema": SCHEMA, "created": records.now(), **asked}
            connection.execute(_meta.insert().values(row))


def _expired(connection: sql.Connection, path: Path, today: date | None) -> tuple[str, ...]:
    query = sql.select(_people.c.name, _until).where(_until.is_not(None)).order_by(_people.c.name)
    last_days = [(name, records.to_day(text, path)) for name, text in connection.execute(query)]
    return tuple(name for name, day in last_days if day < (today or records.today()))


def _person_id(connection: sql.Connection, name: str) -> int | None:
    return connection.scalar(sql.select(_people.c.id).where(_people.c.name == name))


def _insert_person(connection: sql.Connection, name: str) -> int:
    row = {"name": name, "consent": "", "created": records.now()}
    added = _people.insert().values(row).returning(_people.c.id)
    return int(connection.execute(added).scalar_one())


def _owner(connection: sql.Connection, photo: Photograph) -> str | None:
    same = _photographs.c.sha256 == photo.sha256
    return connection.scalar(sql.select(_people.c.name).join(_photographs).where(same))


def _insert_photograph(
    connection: sql.Connection, person: int, photo: Photograph, unit: NDArray[np.float32]
) -> None:
    row = {"person_id": person, **records.to_row(photo)}
    added = _photographs.insert().values(row).returning(_photographs.c.id)
    vector = {"photo_id": connection.execute(added).scalar_one(), "vector": records.to_blob(unit)}
    connection.execute(_embeddings.insert().values(vector))
