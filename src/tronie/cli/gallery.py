"""gallery: list, delete, purge, wipe and consent: looking after who is remembered."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Annotated

import typer

from tronie.cli import options
from tronie.cli.enroll import as_day
from tronie.cli.terminal import number_of, print_json, print_table, tell
from tronie.gallery.store import Gallery

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help="Look after a gallery: who is in it, on whose word, and for how long.",
)

GalleryFile = Annotated[Path, typer.Argument(metavar="G.db", help="The gallery.")]
PersonName = Annotated[str, typer.Argument(metavar="NAME", help="A person in it.")]


@app.command("list")
def list_people(gallery: GalleryFile, *, json: options.Json = False) -> None:
    """Everybody in the gallery, with photographs, consent and retention date."""
    with Gallery.open_as_made(gallery) as store:
        made, people, expired = store.made, store.people(), set(store.expired())
    if json:
        for person in people:
            told = {**vars(person), "retention_until": _iso(person.retention_until)}
            print_json({**told, "expired": person.name in expired})
        return
    rows = [
        (
            person.name,
            person.photographs,
            person.consent,
            (_iso(person.retention_until) or "no limit")
            + (" (expired)" if person.name in expired else ""),
        )
        for person in people
    ]
    if rows:
        print_table(("person", "photos", "consent", "retain until"), rows)
        print()
    count = number_of(len(people), "person", "people")
    tell(f"{count}; made with {made['model']} and {made['detector']}.")


@app.command("delete")
def delete(gallery: GalleryFile, name: PersonName, *, json: options.Json = False) -> None:
    """Forget a person, at once and completely.

    The rows go, freed space is overwritten and the log emptied: name and numbers are in no
    file of the gallery any more. Backups and snapshots of the file system are not reached.
    """
    with Gallery.open_as_made(gallery) as store:
        store.delete(name)
    if json:
        print_json({"deleted": [name]})
    else:
        tell(f"{name} is forgotten.")


@app.command("purge")
def purge(gallery: GalleryFile, *, json: options.Json = False) -> None:
    """Forget everybody whose retention date has passed, as delete does."""
    with Gallery.open_as_made(gallery) as store:
        names = store.purge_expired()
    if json:
        print_json({"deleted": list(names)})
    else:
        tell(f"Forgotten: {', '.join(names) or 'nobody'}.")


@app.command("wipe")
def wipe(gallery: GalleryFile, *, json: options.Json = False) -> None:
    """Overwrite freed space, where a deletion said that it could not.

    That happens while another program is reading the gallery; close it first.
    """
    with Gallery.open_as_made(gallery) as store:
        store.wipe()
    if json:
        print_json({"wiped": gallery})
    else:
        tell(f"{gallery} holds nothing of what was deleted from it.")


@app.command("consent")
def consent(
    gallery: GalleryFile,
    name: PersonName,
    *,
    text: Annotated[
        str, typer.Option("--consent", metavar="TEXT", help="Who agreed to what, and when.")
    ],
    retain_until: options.RetainUntil = None,
    json: options.Json = False,
) -> None:
    """Replace a person's consent note and retention date.

    Without --retain-until there is no limit any more.
    """
    until = as_day(retain_until)
    with Gallery.open_as_made(gallery) as store:
        store.set_consent(name, consent=text, retention_until=until)
    if json:
        print_json({"person": name, "consent": text, "retention_until": _iso(until)})
    else:
        tell(f"{name}: noted, {'no limit' if until is None else f'until {until}'}.")


def _iso(day: date | None) -> str | None:
    return None if day is None else day.isoformat()
