"""The folder of a challenge: everything that one machine needs, in one place.

    DIR/challenge.toml      settings, where there are any; see `settings`
        challenge.db        the database, unless another is named
        uploads/            what teams sent, unless another place is named
        data/TRACK/         the organizer's private data of each track; see `scoring`
        signing.key         signs results; form.key ties forms to browsers
        baselines.json      published rows to be shown
        work/               embeddings that are being made

Without settings the tracks are those that have a folder of data. Keys are made once, readable by
their owner alone.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from tronie.errors import BadInput, NotFound
from tronie.server.challenge.kept_secret import SECRET_BYTES, kept_secret
from tronie.server.challenge.settings import Settings, read_settings
from tronie.server.challenge.signing import Signer, open_signer
from tronie.server.challenge.storage import Storage
from tronie.server.challenge.track import Track, names, open_track

SETTINGS, DATABASE, UPLOADS = "challenge.toml", "challenge.db", "uploads"
DATA, WORK, SIGNING, FORMS = "data", "work", "signing.key", "form.key"


class Home:
    """The folder of a challenge.

    Args:
        folder: It is made where it is not there.
        database: URL that goes before that of the settings.
        environment: Where settings look for secrets.

    Raises:
        BadInput: the folder cannot be made, or is none.
        BadFile: the settings cannot be used.
        NotFound: a track that is named is none.
    """

    def __init__(
        self,
        folder: Path,
        *,
        database: str | None = None,
        environment: Mapping[str, str] = os.environ,
    ) -> None:
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as fault:
            raise BadInput(f"{folder} cannot be a challenge's folder: {fault.strerror}") from fault
        self.folder = folder
        self.settings = self._read(environment)
        if database is not None:
            self.settings = replace(self.settings, database=database)
        self.tracks: dict[str, Track] = {name: open_track(name) for name in self.settings.tracks}

    @property
    def work(self) -> Path:
        """Where embeddings are made; there after this."""
        found = self.folder / WORK
        found.mkdir(exist_ok=True)
        return found

    def data_of(self, track: str) -> Path:
        """The folder of a track's private data, there or not."""
        return Path(self.settings.data.get(track, self.folder / DATA / track))

    def storage(self) -> Storage:
        """Where uploads lie; raises as `Storage`."""
        return Storage(self.settings.storage)

    def signer(self) -> Signer:
        """Who signs results; raises as `open_signer`."""
        return open_signer(self.folder / SIGNING)

    def _read(self, environment: Mapping[str, str]) -> Settings:
        file = self.folder / SETTINGS
        own = Settings(
            database=f"sqlite:///{(self.folder / DATABASE).resolve()}",
            storage=str((self.folder / UPLOADS).resolve()),
            secret=_form_secret(self.folder / FORMS),
        )
        found = own
        if file.is_file():
            told = read_settings(file, environment=environment, beside=own)
            found = told
        if not found.tracks:
            found = replace(found, tracks=self._tracks_with_data())
        return found

    def _tracks_with_data(self) -> tuple[str, ...]:
        folder = self.folder / DATA
        if not folder.is_dir():
            return ()
        there = {one.name for one in folder.iterdir() if one.is_dir() and one.suffix != ".part"}
        if strange := sorted(there - set(names())):
            raise NotFound(
                f"{folder / strange[0]} is of no track; `tronie list tracks` tells those there are"
            )
        return tuple(name for name in names() if name in there)


def _form_secret(file: Path) -> bytes:
    found = kept_secret(file)
    if len(found) != SECRET_BYTES:
        raise BadInput(
            f"{file} must hold {SECRET_BYTES} bytes; got {len(found)}. Remove it, and everybody "
            "signs in again"
        )
    return found
