"""A challenge whose workers and database are killed every few seconds: does anything get lost?

    python benchmarks/faults/challenge_faults.py --database sqlite
    python benchmarks/faults/challenge_faults.py --database postgresql
    python benchmarks/faults/challenge_faults.py --submissions 30 --workers 2 --kill-every-s 5

Teams send small networks to a demonstration track: honest ones, and some that break a rule at the
checks, in the sandbox, or only while they run. `tronie challenge worker` judges them in several
processes; one after another is killed with SIGKILL and begun again. The lock of a SQLite is held
by a foreign process for seconds; a PostgreSQL, begun here from Debian's programs, loses all its
connections or is stopped. What has failed by us is tried again as an organizer does.

In the end every submission must have ended once and as its file must, with exact quotas, an
unbroken audit log and nothing left: see `fault_findings`. Exits with 1 where anything else was
found. One row is appended to challenge_faults.csv; the last line of the output is JSON.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import json
import os
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from random import Random

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(Path(__file__).parent), str(REPOSITORY / "tests")]

from database_faults import postgres_faults, sqlite_faults  # noqa: E402 - found by the line above
from fault_findings import Finding, findings  # noqa: E402
from fault_run import Fleet, Outcome, Plan, run_faults  # noqa: E402
from fault_uploads import drawn_uploads, make_data  # noqa: E402

from server.challenge.postgres import Postgres, why_not  # noqa: E402
from tronie.provenance import provenance  # noqa: E402
from tronie.server.challenge.demonstration import TRACK  # noqa: E402
from tronie.server.challenge.home import DATA, Home  # noqa: E402
from tronie.server.challenge.store import Store  # noqa: E402

Disturb = Callable[[Random], str]


def main(argv: Sequence[str] | None = None) -> int:
    """Run, print what was found, append a row."""
    asked = _asked(argv)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that workers and server end too
    with contextlib.ExitStack() as stack:
        folder = asked.folder
        if folder is None:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tronie-faults-")))
        url, disturb = stack.enter_context(_database(asked.database, folder))
        home = Home(folder, database=url)
        make_data(folder / DATA / TRACK)
        logs = folder / "logs"
        logs.mkdir()
        store = stack.enter_context(Store.open(url))
        outcome = run_faults(
            _plan(asked),
            drawn_uploads(asked.submissions, seed=asked.seed),
            store=store,
            storage=home.storage(),
            fleet=Fleet(_command(folder, url, asked.lease_s), asked.workers, logs),
            disturb=disturb,
            told=lambda line: print(line, file=sys.stderr, flush=True),
        )
        found = findings(outcome, store, work=home.work, uploads=Path(home.settings.storage))
        row = _row(asked, outcome, found, logs)
    _print(row, outcome, found)
    if not asked.no_csv:
        _append(asked.csv, row)
    print(json.dumps(row))
    return 0 if all(one.holds for one in found) else 1


def _asked(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--database", choices=("sqlite", "postgresql"), default="sqlite")
    parser.add_argument("--submissions", type=int, default=200)
    parser.add_argument("--workers", type=int, default=3)
    parser.add_argument("--kill-every-s", type=float, default=3.0, help="on the average")
    parser.add_argument("--database-every-s", type=float, default=8.0, help="on the average")
    parser.add_argument("--lease-s", type=float, default=5.0)
    parser.add_argument("--most-s", type=float, default=1800.0, help="then it is given up")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, help="new; kept, with the workers' logs")
    parser.add_argument("--csv", type=Path, default=Path(__file__).with_suffix(".csv"))
    parser.add_argument("--no-csv", action="store_true")
    return parser.parse_args(argv)


def _plan(asked: argparse.Namespace) -> Plan:
    return Plan(
        track=TRACK,
        workers=asked.workers,
        kill_every_s=asked.kill_every_s,
        database_every_s=asked.database_every_s,
        send_within_s=0.4 * asked.submissions,
        most_s=asked.most_s,
        seed=asked.seed,
    )


def _command(folder: Path, url: str, lease_s: float) -> Callable[[int], list[str]]:
    """How `tronie challenge worker` is begun."""
    os.environ["PYTHONPATH"] = str(REPOSITORY / "src")
    words = ["challenge", "worker", "--dir", str(folder), "--database", url]
    words += ["--lease-s", str(lease_s), "--threads", "1"]
    return lambda number: [sys.executable, "-m", "tronie", *words, "--name", f"worker {number}"]


@contextlib.contextmanager
def _database(kind: str, folder: Path) -> Iterator[tuple[str, Disturb]]:
    """Its URL, and what lets it fail."""
    if kind == "sqlite":
        file = folder.resolve() / "challenge.db"
        yield f"sqlite:///{file}", sqlite_faults(file)
        return
    if reason := why_not():
        raise SystemExit(reason)
    server = Postgres()
    try:
        name = server.new_database()
        yield server.url(name), postgres_faults(server, name)
    finally:
        server.close()


def _row(
    asked: argparse.Namespace, outcome: Outcome, found: Sequence[Finding], logs: Path
) -> dict[str, object]:
    counts, made = outcome.counts, provenance().to_dict()
    scored = sum(upload.is_scored for upload in outcome.sent.values())
    return {
        **{key: made[key] for key in ("date", "commit", "dirty", "cpu", "cores")},
        "database": asked.database,
        "submissions": len(outcome.sent),
        "scored": scored,
        "refused": len(outcome.sent) - scored,
        "workers": asked.workers,
        "workers_begun": outcome.workers,
        "kills": counts.kills,
        "ended_by_themselves": counts.ended_by_themselves,
        "database_faults": counts.faults.total(),
        "failed_then_tried_again": counts.tried_again,
        "turned_away": counts.turned_away,
        "seconds": round(outcome.seconds, 1),
        "faults_of_ours": sum(log.read_text().count("cannot judge") for log in logs.iterdir()),
        "lost": sum(not one.holds for one in found),
        "seed": asked.seed,
    }


def _print(row: dict[str, object], outcome: Outcome, found: Sequence[Finding]) -> None:
    for name, value in row.items():
        print(f"{name:>24}  {value}")
    for name, number in sorted(outcome.counts.faults.items()):
        print(f"{number:>24}  {name}")
    for one in found:
        print(f"{'holds' if one.holds else 'BROKEN':>24}  {one.what}  {one.found}")


def _append(file: Path, row: dict[str, object]) -> None:
    is_new = not file.exists()
    with file.open("a", encoding="utf-8", newline="") as out:
        writer = csv.DictWriter(out, list(row), lineterminator="\n")
        if is_new:
            writer.writeheader()
        writer.writerow(row)


if __name__ == "__main__":
    sys.exit(main())
