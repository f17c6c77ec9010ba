"""The verbs of `tronie`, each imported only when it is called.

The table below is all that the help and the dispatch know: `tronie --help` prints it without
loading an argument parser, numpy or an inference engine. A verb is a function with annotated
options, or a `typer.Typer` with verbs of its own (`models`, `gallery`, `evaluate`).

Exit codes: 0 done, 1 checked and no, 2 misuse, 3 no face, 70 a fault of ours, 130 interrupted,
141 the reader of our output went away. A verb answers 1 by `raise typer.Exit(1)`.
"""

from __future__ import annotations

import importlib
import io
import json
import os
import sys
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tronie.catalog import not_found
from tronie.errors import BadInput, NotFound, TronieError

if TYPE_CHECKING:  # for the checker only: `--help` must not pay for the argument parser
    import typer


class Verb(NamedTuple):
    """Where a verb lives and what it does, in at most 58 characters."""

    module: str
    function: str
    help: str


GROUPS: Mapping[str, tuple[str, ...]] = {
    "Photographs": ("detect", "align", "embed"),
    "People": ("verify", "enroll", "identify", "gallery"),
    "Training": ("pack", "mask", "train", "redistribute", "export"),
    "Models and numbers": ("models", "measure", "evaluate", "report"),
    "The challenge": ("serve", "challenge"),
    "Looking around": ("list", "show", "demo"),
}

VERBS: Mapping[str, Verb] = {
    "detect": Verb("tronie.cli.analyze", "detect", "find faces: boxes, scores and five points"),
    "align": Verb("tronie.cli.analyze", "align", "cut out aligned crops, 112 pixels wide"),
    "embed": Verb("tronie.cli.analyze", "embed", "turn faces into one matrix of embeddings"),
    "verify": Verb("tronie.cli.verify", "verify", "are two photographs of one person?"),
    "enroll": Verb("tronie.cli.enroll", "enroll", "put named people into a gallery"),
    "identify": Verb("tronie.cli.identify", "identify", "who of the gallery is in a photograph?"),
    "gallery": Verb("tronie.cli.gallery", "app", "list, delete, purge; consent and retention"),
    "pack": Verb("tronie.cli.pack", "pack", "pictures of named people into shards to train from"),
    "mask": Verb("tronie.cli.mask", "mask", "put a mask on every face of a photograph"),
    "train": Verb("tronie.cli.train", "train", "train a recognizer or a detector by a recipe"),
    "redistribute": Verb(
        "tronie.cli.redistribute",
        "redistribute",
        "search for a detector under a budget of FLOPs, or for its crops",
    ),
    "export": Verb("tronie.cli.export", "export", "a trained network as ONNX, proven to agree"),
    "models": Verb("tronie.cli.models", "app", "list, show, pull, verify and calibrate models"),
    "measure": Verb("tronie.cli.measure", "measure", "parameters, FLOPs, size and time of a model"),
    "evaluate": Verb("tronie.cli.evaluate", "app", "run a protocol and report its numbers"),
    "report": Verb("tronie.cli.report", "report", "lay reports side by side on one page"),
    "serve": Verb("tronie.cli.serve", "app", "host a face recognition challenge"),
    "challenge": Verb("tronie.cli.challenge", "app", "check, send and judge submissions to one"),
    "list": Verb(
        "tronie.cli.list", "list_kind", "what there is: models, protocols, networks and more"
    ),
    "show": Verb("tronie.cli.list", "show", "one entry: its docstring, source and contract"),
    "demo": Verb("tronie.cli.demo", "demo", "enroll and identify real people; writes a report"),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb; returns the exit code and prints every refusal as one line on stderr.

    `argv` is what follows the program's name; None takes it from the process. With `--json`
    among the arguments a refusal is printed on stdout too, as one JSON object.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    full_traceback = "--traceback" in words or bool(os.environ.get("TRONIE_TRACEBACK"))
    words = [word for word in words if word != "--traceback"]
    _open_what_is_closed()
    if isinstance(sys.stdout, io.TextIOWrapper):  # a file name need not be text, and may be told
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        code = _dispatch(words)
        sys.stdout.flush()
        return code
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        _silence_stdout()
        return 141
    except TronieError as error:
        if full_traceback:
            traceback.print_exc()
        _refuse(error, words)
        return error.exit_code
    except OSError as error:  # a disk, a permission: nobody's fault, and told like a refusal
        if full_traceback:
            traceback.print_exc()
        _refuse(BadInput(_of_the_system(error)), words)
        return BadInput.exit_code
    except Exception as error:  # the last door: a fault of ours, told in two lines
        if full_traceback:
            traceback.print_exc()
        else:
            _say(f"a fault in tronie, {type(error).__name__}: {error}")
            _say("run it again with --traceback to see where, and report it")
        return 70


def top_level_help() -> str:
    """The page that `tronie --help` prints: every verb, in 80 columns."""
    lines = ["Usage: tronie VERB [OPTIONS] THINGS", ""]
    lines += ["Find, align, embed and compare faces, and say how often the answer is wrong."]
    for group, names in GROUPS.items():
        lines += ["", group]
        lines += [f"  {name:<12} {VERBS[name].help}" for name in names]
    lines += ["", "Everywhere"]
    lines += ["  --help       this page, or with a verb, the verb's own page"]
    lines += ["  --version    the version of this package"]
    lines += ["  --json       one JSON object a line instead of a table"]
    lines += ["", "Exit codes: 0 done, 1 checked and no, 2 misuse, 3 no face."]
    return "\n".join(lines)


def _dispatch(words: list[str]) -> int:
    name = words[0] if words else "--help"
    if name in ("--help", "-h", "help"):
        print(top_level_help())
        return 0
    if name == "--version":
        print(f"tronie {_installed_version()}")
        return 0
    if name not in VERBS:
        raise not_found(name, VERBS, where="the verbs of tronie")
    verb = VERBS[name]
    function = getattr(importlib.import_module(verb.module), verb.function)
    return _run(function, name, words[1:])


def _run(function: object, name: str, words: list[str]) -> int:
    """Parse the words by the function's annotations, call it, and return the exit code."""
    import typer
    from typer.main import get_command

    command = get_command(_as_app(function, name))
    parts = getattr(command, "commands", {})
    if parts and words and not words[0].startswith("-") and words[0] not in parts:
        raise not_found(words[0], parts, where=f"tronie {name}")
    for page in (command, *parts.values()):
        page.help = _unwrapped(page.help or "")
    try:
        with command.make_context(f"tronie {name}", words) as context:
            command.invoke(context)
        return 0
    except typer.Exit as stop:
        return stop.exit_code
    except typer.Abort:
        return 130
    except typer.TyperException as misuse:
        page = getattr(getattr(misuse, "ctx", None), "command_path", "") or f"tronie {name}"
        raise BadInput(f"{_one_line(misuse)} See: {page} --help") from misuse


def _installed_version() -> str:
    from importlib import metadata  # 37 ms, which --help need not pay

    try:
        return metadata.version("tronie")
    except metadata.PackageNotFoundError:
        raise NotFound(
            "tronie runs from its source and is not installed, so it has no version; "
            "pip install -e . gives it one"
        ) from None


def _as_app(function: object, name: str) -> typer.Typer:
    import typer

    if isinstance(function, typer.Typer):
        return function
    assert callable(function), f"the verb {name} must be a function or a Typer"
    app = typer.Typer(add_completion=False)
    app.command(name)(function)
    return app


def _one_line(misuse: typer.TyperException) -> str:
    text = " ".join(misuse.format_message().split())
    return text if text.endswith((".", "?", ")")) else f"{text}."


def _unwrapped(text: str) -> str:
    """Paragraphs without line breaks, which a help page breaks at its own width."""
    import inspect  # 7 ms, which the page of all verbs need not pay

    paragraphs = inspect.cleandoc(text).split("\n\n")
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)


def _refuse(error: TronieError, words: Sequence[str]) -> None:
    from tronie.cli.terminal import error_code

    if "--json" in words:
        told = {"code": error_code(error), "message": str(error)}
        print(json.dumps({"error": told}), flush=True)
    _say(str(error))


def _say(sentence: str) -> None:
    from tronie.cli.terminal import say  # not before something is to be said

    say(sentence)


def _of_the_system(error: OSError) -> str:
    what = error.strerror or str(error) or type(error).__name__
    return f"the system refused {error.filename}: {what}" if error.filename else what


def _open_what_is_closed() -> None:
    """A command may be started with its stdout or stderr closed; then nobody reads them."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open("w"))  # noqa: SIM115, open to the end


def _silence_stdout() -> None:
    """Give the interpreter a stdout it can flush at exit, so that it stays quiet too."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    sys.exit(main())
