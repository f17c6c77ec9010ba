"""challenge: check a submission, send it, judge what was sent, show published rows."""

from __future__ import annotations

import json as json_module
import os
import platform
import signal
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tronie.cli.needs_server import server_needed
from tronie.cli.options import Json
from tronie.cli.terminal import number_of, print_json, print_table, progress_of, say, tell
from tronie.errors import BadFile, BadInput, NotFound

if TYPE_CHECKING:
    from tronie.cli.challenge_client import Client
    from tronie.server.challenge.checks import Verdict

TOKEN_VARIABLE = "TRONIE_CHALLENGE_TOKEN"
DATABASE_VARIABLE = "TRONIE_CHALLENGE_DATABASE"
POLL_S = 2.0
SILENT_POLLS = 30
"""In a row; a server that is begun anew is waited for."""

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help="Check, send and judge submissions to a face recognition challenge.",
)

Track = Annotated[
    str, typer.Option("--track", metavar="TRACK", help="As `tronie list tracks` prints it.")
]
Dir = Annotated[Path, typer.Option("--dir", metavar="DIR", help="The folder of the challenge.")]
DatabaseUrl = Annotated[
    str | None,
    typer.Option(
        "--database",
        metavar="URL",
        envvar=DATABASE_VARIABLE,
        help="As in postgresql://user@host/name; that of --dir if left out.",
    ),
]


@app.command()
def validate(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="model.onnx, or a zip of it.")],
    *,
    track: Track,
    crops: Annotated[
        Path | None,
        typer.Option(
            "--crops",
            metavar="FOLDER",
            help="Aligned crops to try the model on; drawn ones if left out.",
        ),
    ] = None,
    calibrate: Annotated[
        bool,
        typer.Option(help="Time a known network first, by which limits of time are translated."),
    ] = True,
    json: Json = False,
) -> None:
    """Check a submission as the server will: the same rules, the same code, in a sandbox.

    Exits with 0 if it is accepted and 1 if it is refused.
    """
    from tronie.server.challenge.track import open_track
    from tronie.server.challenge.validate import validate as check

    asked = open_track(track)
    if not file.is_file():
        raise BadInput(f"there is no file {file}; name a model.onnx, or a zip of it")
    factor = None if calibrate else 1.0
    verdict = check(file, asked, name=track, crops=_crops_of(crops), factor=factor)
    if json:
        print_json(verdict.to_dict())
    else:
        _print_verdict(verdict)
    if not verdict.accepted:
        raise typer.Exit(1)


@app.command()
def submit(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="model.onnx, or a zip of it.")],
    *,
    track: Track,
    server: Annotated[
        str, typer.Option("--server", metavar="URL", help="Address of the challenge.")
    ],
    token: Annotated[
        str,
        typer.Option(
            "--token",
            metavar="TOKEN",
            envvar=TOKEN_VARIABLE,
            help="Of your team's page; better in the environment than on the command line.",
        ),
    ],
    note: Annotated[str, typer.Option("--note", help="Your own words on it.")] = "",
    wait: Annotated[bool, typer.Option("--wait", help="Until it is judged.")] = False,
    public: Annotated[
        bool, typer.Option("--public", help="With --wait: put it on the board once scored.")
    ] = False,
    json: Json = False,
) -> None:
    """Send a submission, and say what became of it.

    With --wait it exits with 0 if it was scored and 1 if it was refused.
    """
    from tronie.cli.challenge_client import Client

    if public and not wait:
        raise BadInput("--public needs --wait: what is not scored yet cannot be on the board")
    if not file.is_file():
        raise BadInput(f"there is no file {file}; name a model.onnx, or a zip of it")
    client = Client(server, token)
    with progress_of("sending") as sent:
        made = client.submit(file, track, note=note, sent=sent)
    if wait:
        made = _waited(client, made)
        if public and made["state"] == "scored":
            made = client.set_public(made["id"], True)
    if json:
        print_json(made)
    else:
        _tell_submission(made)
    if made["state"] in ("refused", "failed"):
        raise typer.Exit(1)


@app.command()
def worker(
    *,
    database: DatabaseUrl = None,
    dir: Dir = Path(),
    name: Annotated[
        str | None, typer.Option("--name", help="Told in the log; host and process if left out.")
    ] = None,
    once: Annotated[bool, typer.Option("--once", help="End when nothing waits.")] = False,
    lease_s: Annotated[
        float, typer.Option("--lease-s", min=2.0, help="After so long without a sign it is lost.")
    ] = 60.0,
    threads: Annotated[
        int | None, typer.Option("--threads", min=1, help="To compare pairs with.")
    ] = None,
    attached: Annotated[bool, typer.Option("--attached", hidden=True)] = False,
) -> None:
    """Judge submissions, one after another, on this machine.

    The organizer's data of each track lie in DIR/data/TRACK, on every machine that judges; where
    uploads lie is read from DIR/challenge.toml.
    """
    with server_needed("tronie challenge worker"):
        from datetime import timedelta

        from tronie.server.challenge.home import Home
        from tronie.server.challenge.judging import Judging, open_data
        from tronie.server.challenge.sandbox import host_report
        from tronie.server.challenge.store import Store
        from tronie.server.challenge.unfinished import temporary_files_in
        from tronie.server.challenge.worker import Worker

    expect_challenge(dir)
    home = Home(dir, database=database)
    folders = {track: home.data_of(track) for track in home.tracks}
    data, faults = open_data(home.tracks, folders)
    for track, why in faults.items():
        say(f"{track} is not judged here: {why}")
    if not data:
        raise BadInput(f"{dir} has no data that a worker could judge with; put it in data/TRACK")
    enforced = "; ".join(f"{what}: {by}" for what, by in host_report().items())
    say(f"strangers' models run in a sandbox ({enforced})")
    with Store.open(home.settings.database) as store, temporary_files_in(home.work):
        judge = Judging(home.tracks, data, work=home.work, threads=threads)
        made = Worker(
            store,
            home.storage(),
            judge,
            name=name or f"{platform.node()}-{os.getpid()}",
            lifetime=timedelta(seconds=lease_s),
        )
        for sign in (signal.SIGTERM, signal.SIGINT):
            signal.signal(sign, lambda *_: made.stop())
        if attached:
            threading.Thread(target=_until_closed, args=(made.stop,), daemon=True).start()
        say(f"judging {', '.join(data)}")
        if once:
            while made.run_once():
                pass
        else:
            made.run()


@app.command()
def baselines(
    *,
    dir: Dir,
    track: Annotated[
        list[str] | None,
        typer.Option("--track", metavar="TRACK", help="Only of these; all that have some if none."),
    ] = None,
    hide: Annotated[bool, typer.Option("--hide", help="Show no published row any more.")] = False,
    json: Json = False,
) -> None:
    """Show published rows on the boards of a challenge, marked as published, not reproduced."""
    from tronie.server.challenge.baselines import BASELINES, MARK, show_baselines

    if hide and track:
        raise BadInput("--hide takes all published rows off; leave out --track")
    asked = () if hide else track or tuple(BASELINES)
    show_baselines(dir, asked)
    if json:
        print_json({name: [row.to_dict() for row in BASELINES[name]] for name in asked})
        return
    if hide:
        tell("no published row is shown any more")
    for name in asked:
        tell(f"{name}: {len(BASELINES[name])} rows, {MARK}")


@app.command("check-result")
def check_result(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A signed result file.")],
    *,
    key: Annotated[
        str,
        typer.Option("--key", help="The challenge's public key, from the challenge itself."),
    ],
    json: Json = False,
) -> None:
    """Is a result file what the challenge signed? Exits with 1 if it is not."""
    with server_needed("tronie challenge check-result"):
        from tronie.server.challenge.signing import verify

    try:
        told = json_module.loads(file.read_text(encoding="utf-8"))
        if not isinstance(told, dict):
            raise ValueError("it holds no object")
    except (OSError, ValueError) as fault:
        raise BadFile(f"{file} is no signed result file: {fault}") from fault
    genuine = verify(told, public_key=key)
    if json:
        print_json({"genuine": genuine})
    else:
        tell("this is what the challenge signed" if genuine else "this is NOT what it signed")
    if not genuine:
        raise typer.Exit(1)


def expect_challenge(folder: Path) -> None:
    """Refuse a folder that is none of a challenge, before anything is written into it.

    Raises:
        NotFound: it has neither settings nor data.
    """
    if not any((folder / part).exists() for part in ("challenge.toml", "data")):
        raise NotFound(
            f"there is no challenge in {folder}: it has neither challenge.toml nor data/TRACK; "
            "name its folder with --dir"
        )


def _until_closed(stop: Callable[[], None]) -> None:
    """Whoever began this process holds its standard input, and ends it by being no more."""
    while os.read(0, 1):  # not sys.stdin, whose lock the interpreter wants when it ends
        pass
    stop()


def _crops_of(folder: Path | None) -> Any:
    """Crops of a folder, (M, 112, 112, 3); None where none was named."""
    if folder is None:
        return None
    import numpy as np

    from tronie.data.readers.image_folder import list_images
    from tronie.images.io import read_image

    found = [read_image(path) for path in list_images([folder])[:64]]
    if not found or any(image.shape != (112, 112, 3) for image in found):
        raise BadInput(f"{folder} must hold aligned crops of 112 x 112; see `tronie align`")
    return np.stack(found)


def _print_verdict(verdict: Verdict) -> None:
    rows = [
        ("kept" if check.passed else "BROKEN", check.rule, check.reason) for check in verdict.checks
    ]
    print_table(["", "rule", "what was found"], rows)
    broken = len(verdict.refusals)
    tell(
        f"accepted for {verdict.track}: {number_of(len(rows), 'rule is kept', 'rules are kept')}"
        if verdict.accepted
        else f"refused for {verdict.track}: {broken} of {len(rows)} rules "
        f"{'is' if broken == 1 else 'are'} broken"
    )


def _waited(client: Client, made: Mapping[str, Any]) -> dict[str, Any]:
    """The submission once it is judged; its place in the queue is said as it changes."""
    from tronie.cli.challenge_client import ChallengeUnreachable

    last, silent = None, 0
    while made["state"] in ("received", "checking", "queued", "running"):
        told = (made["state"], made["position"])
        if told != last:
            place = f", place {told[1]} in the queue" if told[1] else ""
            say(f"{made['id']} is {told[0]}{place}")
            last = told
        time.sleep(POLL_S)
        try:
            made, silent = client.submission(made["id"]), 0
        except ChallengeUnreachable:
            silent += 1
            if silent == SILENT_POLLS:
                raise
    return dict(made)


def _tell_submission(made: Mapping[str, Any]) -> None:
    place = f", place {made['position']} in the queue" if made["position"] else ""
    tell(f"{made['id']}: {made['state']}{place}")
    if made["reason"]:
        tell(made["reason"])
    report = made["report"]
    if report:
        rows = [
            (name, f"{value['value']:.6g}", value.get("unit", ""))
            for name, value in report["values"].items()
            if value.get("value") is not None
        ]
        print_table(["value", "measured", "unit"], rows)
