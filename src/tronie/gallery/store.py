"""People, photographs, consent and embeddings in SQL; a crash loses nothing.

One SQLite file, through SQLAlchemy; the only SQL in this room.

    meta          schema, contract, model, detector, dimension, created      one row
    people        id, name (unique), consent, retention_until, created
    photographs   id, person, source, sha256 (unique), box, detector_score, created
    embeddings    photograph, vector: D float32, little-endian, of length 1

A gallery is bound to the contract its embeddings were made with (model, preprocessing,
alignment, detector): scores across two contracts mean nothing, so another is refused.
Promised: a call that returned survives a crash of process and machine (write-ahead log,
synchronous FULL), one that did not leaves nothing. Deleting zeroes freed pages, empties the
log and rewrites the file: name and numbers are in no file of the gallery. Not promised: file
systems, snapshots and backups may keep old blocks. The file is not encrypted; only its owner
may read it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import sqlalchemy as sql
from numpy.typing import NDArray

from tronie.errors import GalleryLocked
from tronie.gallery import records
from tronie.gallery.enroll import group_rows
from tronie.gallery.records import Person, Photograph
from tronie.geometry.hypersphere import normalize
from tronie.geometry.templates import mean_template

SCHEMA = 1


def _texts(*names: str) -> list[sql.Column[str]]:
    return [sql.Column(name, sql.String, nullable=False) for name in names]


def _owned_by(table: str) -> sql.ForeignKey:
    return sql.ForeignKey(f"{table}.id", ondelete="CASCADE")


_tables = sql.MetaData()
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
_photographs = sql.Table(
    "photographs",
    _tables,
    sql.Column("id", sql.Integer, primary_key=True),
    sql.Column("person_id", _owned_by("people"), nullable=False, index=True),
    sql.Column("sha256", sql.String, nullable=False, unique=True),
    *_texts("source", "created"),
    sql.Column("box", sql.JSON, nullable=False),
    sql.Column("detector_score", sql.Float, nullable=False),
)
_embeddings = sql.Table(
    "embeddings",
    _tables,
    sql.Column("photo_id", _owned_by("photographs"), primary_key=True),
    sql.Column("vector", sql.LargeBinary, nullable=False),
)


class Gallery:
    """People and what is known of their faces. Open with `Gallery.open`; close after use.

    Threads and processes may share one: writers wait for each other up to `busy_timeout_s`.
    Every method may raise GalleryLocked when that was too short, and GalleryError when the
    file is damaged or cannot be written.
    """

    def __init__(self, path: Path, engine: sql.Engine, dimension: int) -> None:
        self.path = path
        self.dimension = dimension
        self._engine = engine

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
            GalleryMismatch: it was made with another contract.
            GalleryLocked: another process holds it.
            GalleryError: it is damaged, no gallery, of a newer tronie, or cannot be written.
        """
        asked = dict(contract=contract, model=model, detector=detector, dimension=dimension)
        path = Path(path).absolute()
        engine, _ = _opened(path, busy_timeout_s, asked, create=create)
        return Gallery(path, engine, dimension)

    @staticmethod
    def open_as_made(path: str | Path, *, busy_timeout_s: float = 5.0) -> Gallery:
        """Open an existing gallery with whatever contract it was made with.

        For looking after it (list, delete, purge, consent), not for comparing embeddings.
        """
        engine, made = _opened(Path(path).absolute(), busy_timeout_s, None, create=False)
        return Gallery(Path(path).absolute(), engine, int(made["dimension"]))

    @staticmethod
    def made_with(path: str | Path, *, busy_timeout_s: float = 5.0) -> dict[str, Any]:
        """Schema, contract, model, detector, dimension, created; raises what `open` does."""
        engine, made = _opened(Path(path).absolute(), busy_timeout_s, None, create=False)
        engine.dispose()
        return made

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
            BadInput: no photograph, an unusable name, or a photograph of somebody else.
            BadArray: an embedding of the wrong shape, zero, not finite; or the person's
                embeddings cancel each other out.
        """
        name = records.clean_name(name)
        records.check_photographs(name, photographs, dimension=self.dimension)
        unit = normalize(np.stack([photo.embedding for photo in photographs]))[0]
        with self._writing() as connection:
            person = _person_id(connection, name) or _insert_person(connection, name)
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
            mean_template(self._vectors(connection, _people.c.id == person)[1])
        return new

    def people(self) -> list[Person]:
        """Everybody in the gallery, by name, the expired among them."""
        query = (
            sql.select(
                *(_people.c[key] for key in ("name", "consent", "retention_until", "created")),
                sql.func.count(_photographs.c.id).label("photographs"),
            )
            .outerjoin(_photographs)
            .group_by(_people.c.id)
            .order_by(_people.c.name)
        )
        with self._reading() as connection:
            return [Person(**row) for row in connection.execute(query).mappings()]

    def identities(
        self, *, today: date | None = None
    ) -> tuple[tuple[str, ...], NDArray[np.float32]]:
        """One template a person, for matching: (names, unit rows (G, D)), sorted by name.

        The expired of `today` (the UTC day by default) are left out; `expired` names them.
        """
        with self._reading() as connection:
            owners, rows = self._vectors(connection, _kept(today))
        groups = group_rows(owners)
        templates = [mean_template(rows[group]) for group in groups.values()]
        return tuple(groups), np.array(templates, np.float32).reshape(-1, self.dimension)

    def expired(self, *, today: date | None = None) -> tuple[str, ...]:
        """Names of those whose retention date has passed, sorted. They are never matched."""
        query = sql.select(_people.c.name).where(~_kept(today)).order_by(_people.c.name)
        with self._reading() as connection:
            return tuple(connection.execute(query).scalars())

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
            GalleryLocked: another process is reading; the person is gone, but `wipe` must
                be called once it has closed the gallery.
        """
        with self._writing() as connection:
            person = self._require(connection, name)
            connection.execute(sql.delete(_people).where(_people.c.id == person))
        self.wipe()

    def purge_expired(self, *, today: date | None = None) -> tuple[str, ...]:
        """Forget everybody whose retention date has passed, as `delete` does; their names."""
        with self._writing() as connection:
            removed = sql.delete(_people).where(~_kept(today)).returning(_people.c.name)
            names = tuple(sorted(connection.execute(removed).scalars()))
        if names:
            self.wipe()
        return names

    def wipe(self) -> None:
        """Rewrite the file without its freed pages and empty the log; GalleryLocked if in use."""
        try:
            with self._reading() as connection:
                connection.exec_driver_sql("VACUUM")
                busy = connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").scalar_one()
        except GalleryLocked:
            busy = True
        if busy:
            raise records.not_wiped(self.path)

    def close(self) -> None:
        """Close the file."""
        self._engine.dispose()

    def __enter__(self) -> Gallery:
        return self

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

    def _require(self, connection: sql.Connection, name: str) -> int:
        person = _person_id(connection, records.clean_name(name))
        if person is None:
            names = connection.execute(sql.select(_people.c.name)).scalars().all()
            raise records.nobody(self.path, name=name, names=names)
        return person

    def _vectors(
        self, connection: sql.Connection, which: sql.ColumnElement[bool]
    ) -> tuple[list[str], NDArray[np.float32]]:
        query = (
            sql.select(_people.c.name, _embeddings.c.vector)
            .join_from(_people, _photographs)
            .join(_embeddings)
            .where(which)
            .order_by(_people.c.name, _photographs.c.id)
        )
        found = connection.execute(query).all()
        blobs = [row.vector for row in found]
        rows = records.from_blobs(blobs, self.path, dimension=self.dimension)
        return [row.name for row in found], rows


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
) -> tuple[sql.Engine, dict[str, Any]]:
    """A checked gallery and its row of meta; made from `asked` if there is none and `create`."""
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
        return engine, dict(made[0])
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


def _kept(today: date | None) -> sql.ColumnElement[bool]:
    until = _people.c.retention_until
    return sql.or_(until.is_(None), until >= (today or records.today()))


def _person_id(connection: sql.Connection, name: str) -> int | None:
    query = sql.select(_people.c.id).where(_people.c.name == name)
    return connection.execute(query).scalar_one_or_none()


def _insert_person(connection: sql.Connection, name: str) -> int:
    row = {"name": name, "consent": "", "created": records.now()}
    added = _people.insert().values(row).returning(_people.c.id)
    return int(connection.execute(added).scalar_one())


def _owner(connection: sql.Connection, photo: Photograph) -> str | None:
    owners = sql.select(_people.c.name).join(_photographs)
    mine = owners.where(_photographs.c.sha256 == photo.sha256)
    return connection.execute(mine).scalar_one_or_none()


def _insert_photograph(
    connection: sql.Connection, person: int, photo: Photograph, unit: NDArray[np.float32]
) -> None:
    row = {"person_id": person, **records.to_row(photo)}
    added = _photographs.insert().values(row).returning(_photographs.c.id)
    vector = {"photo_id": connection.execute(added).scalar_one(), "vector": records.to_blob(unit)}
    connection.execute(_embeddings.insert().values(vector))
