"""models: list, show, pull and verify; calibrate has a file of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from tronie.cli import options
from tronie.cli.calibrate import calibrate, print_points
from tronie.cli.terminal import print_json, print_table, progress_of, say, tell
from tronie.errors import BadInput, NotFound
from tronie.runtime import cache, packs, zoo
from tronie.runtime.calibration import Calibration
from tronie.runtime.entries import entry_names

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help="Models: what there is, what may be done with it, and how good it is.",
)
app.command("calibrate")(calibrate)

Name = Annotated[
    str, typer.Argument(metavar="NAME", help="A model, as `tronie models list` names it.")
]


@app.command("list")
def list_models(*, json: options.Json = False) -> None:
    """Every model of the catalogue and of the cache, with its licence.

    "here" says whether the model is in the cache, can be pulled, or must be given by path.
    """
    entries = zoo.catalog_entries()
    known = {entry.name for entry in entries}
    others = [_registered(name) for name in zoo.registered() if name not in known]
    if json:
        for told in [*(entry.to_dict() for entry in entries), *others]:
            print_json(told)
        return
    rows = [
        (entry.name, entry.kind, entry.license, entry.allowed_use, _where(entry))
        for entry in entries
    ]
    rows += [(o["name"], o["kind"], o["license"], o["allowed_use"], "yes") for o in others]
    print_table(("name", "kind", "licence", "allowed use", "here"), rows)


@app.command("show")
def show(name: Name, *, json: options.Json = False) -> None:
    """One model: licence, source, what it takes, measured accuracy, calibration."""
    try:
        entry = zoo.entry(name)
    except NotFound:
        if name not in zoo.registered():
            raise
        _tell_registered(_registered(name), json=json)
        return
    card, where = _card_in_force(name)
    if json:
        print_json({**entry.to_dict(), "calibration": _points_of(card, where)})
    else:
        _tell_entry(entry, card, where)


@app.command("pull")
def pull(
    what: Annotated[
        str,
        typer.Argument(
            metavar="NAME|URL|DIR|ZIP",
            help="A model of the catalogue, the https address of an .onnx file, or a folder "
            "or zip of .onnx files.",
        ),
    ],
    *,
    accept_license: Annotated[
        bool,
        typer.Option("--accept-license", help="I may use it under its licence; asked once."),
    ] = False,
    name: Annotated[
        str | None,
        typer.Option("--name", metavar="NAME", help="What to call what comes from elsewhere."),
    ] = None,
    sha256: Annotated[
        str | None,
        typer.Option("--sha256", metavar="HEX", help="What an address must hold; needed there."),
    ] = None,
    terms: Annotated[
        str,
        typer.Option("--license", metavar="TEXT", help="The licence of what an address holds."),
    ] = "not stated",
    json: options.Json = False,
) -> None:
    """Fetch a model into the cache, whole and checked, or find it there.

    The cache is $TRONIE_HOME, or tronie in the user's cache folder.
    """
    files: Sequence[zoo.ModelFile]
    left: Sequence[str] = ()
    if what.startswith(("https://", "http://")):
        files = [_pull_address(what, name, sha256, terms, accept_license)]
    elif what in {entry.name for entry in zoo.catalog_entries()}:
        files = [zoo.pull(what, accept_license=accept_license, say=say)]
    elif Path(what).exists():
        files, left = packs.pull_pack(Path(what), name=name, accept_license=accept_license)
    else:
        zoo.entry(what)  # refuses, with the nearest name
        raise NotFound(f"no model, address, folder or zip {what!r}")
    for sentence in left:
        say(sentence)
    for file in files:
        if json:
            told = {"name": file.name, "path": file.path, "sha256": file.sha256}
            print_json({**told, "license": file.license})
        else:
            tell(f"{file.name} is in {file.path.parent} (licence: {file.license}).")


@app.command("verify")
def verify(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="NAME", help="Models in the cache; all of them if none is named."),
    ] = None,
    *,
    json: options.Json = False,
) -> None:
    """Read cached models again and compare their SHA-256.

    Exit code 1 where one was changed.
    """
    bad = 0
    for name in names or zoo.registered():
        fine = zoo.verify(name)
        bad += not fine
        if json:
            print_json({"name": name, "ok": fine})
        else:
            where = cache.folder_of(name)
            tell(f"{name}: {'ok' if fine else f'CHANGED; remove {where} and pull it again'}")
    if bad:
        raise typer.Exit(1)


def _pull_address(
    url: str, name: str | None, sha256: str | None, terms: str, accepted: bool
) -> zoo.ModelFile:
    if sha256 is None or len(sha256) != 64:
        raise BadInput(
            f"an address needs --sha256 with 64 hexadecimal digits; got {sha256 or 'none'}"
        )
    with progress_of("fetching, bytes") as show:
        return zoo.pull_address(
            url,
            name=name or Path(url.split("?")[0]).stem,
            sha256=sha256,
            license_text=terms,
            accept_license=accepted,
            progress=show,
        )


def _where(entry: zoo.Entry) -> str:
    if zoo.is_here(entry.name):
        return "yes"
    return "pull" if entry.wheel else "by path"


def _registered(name: str) -> dict[str, Any]:
    """What the cache says of a model that is in no catalogue."""
    told = cache.manifest(name)
    kind = (told.get("contract") or {}).get("kind", "")
    return {"allowed_use": "", **told, "kind": kind, "here": True}


def _tell_registered(told: dict[str, Any], *, json: bool) -> None:
    card, where = _card_in_force(told["name"])
    if json:
        print_json({**told, "calibration": _points_of(card, where)})
        return
    tell(f"{told['name']} ({told['kind']}), registered {told.get('date', '')}")
    _tell_lines(
        ("licence", f"{told['license']}: {told['allowed_use']}"),
        ("SHA-256", told["sha256"]),
        ("here", "yes"),
    )
    _tell_card(card, where)


def _measured(row: Mapping[str, Any]) -> str:
    """One accuracy of an entry: what was measured, with what, and how far it spreads."""
    spread = f" +- {row['std']}" if "std" in row else ""
    return f"{row['protocol']}: {row['value']}{spread} ({row['with']})"


def _card_in_force(name: str) -> tuple[Calibration | None, str]:
    """The card that counts for a model, and where it comes from in words."""
    if zoo.is_here(name):
        file = zoo.find(name)
        if zoo.own_card(file).is_file():
            return zoo.calibration_of(file), f"your own card, {zoo.own_card(file)}"
    shipped = zoo.card_of_entry(name) if name in entry_names() else None
    return shipped, "the card that ships with tronie"


def _tell_card(card: Calibration | None, where: str) -> None:
    if card is not None:
        print()
        tell(f"Calibrated on {card.source} ({where}).")
        print_points(card.points)


def _tell_entry(entry: zoo.Entry, card: Calibration | None, where: str) -> None:
    takes = entry.contract
    tell(f"{entry.name} ({entry.kind}): {entry.summary}")
    _tell_lines(
        ("licence", f"{entry.license}: {entry.allowed_use}"),
        ("source", entry.source),
        ("SHA-256", f"{entry.sha256} ({entry.size_bytes} bytes)"),
        (
            "takes",
            f"{takes.width}x{takes.height} {takes.color}, "
            f"(pixel - {list(takes.mean)}) / {list(takes.std)}",
        ),
        ("here", _where(entry)),
        *(("measured", _measured(row)) for row in entry.accuracy),
    )
    _tell_card(card, where)


def _tell_lines(*lines: tuple[str, str]) -> None:
    for word, text in lines:
        tell(f"{word:<10}{text}")


def _points_of(card: Calibration | None, where: str) -> dict[str, Any] | None:
    if card is None:
        return None
    told = {key: getattr(card, key) for key in ("dataset", "photos", "people")}
    counts = {"impostor_pairs": card.impostor_pairs, "genuine_pairs": card.genuine_pairs}
    return {**told, **counts, "card": where, "points": list(card.points)}
