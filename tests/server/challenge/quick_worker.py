"""A worker in a process of its own that judges as `fault_uploads` would end, in a moment.

    python quick_worker.py FOLDER DATABASE LEASE_S NAME

What is sent says what becomes of it: b"accept score", b"refuse", b"accept refuse" or b"accept
ours", which fails by us the first time that this worker sees it. Rows that are half made lie in
FOLDER/work meanwhile, as a real judge leaves them.
"""

from __future__ import annotations

import signal
import sys
import time
from datetime import timedelta
from pathlib import Path

from tronie.server.challenge.checks import Check, Verdict
from tronie.server.challenge.storage import Storage
from tronie.server.challenge.store import Store
from tronie.server.challenge.unfinished import Unfinished
from tronie.server.challenge.worker import BrokeRule, Scored, Worker

MOMENT_S = 0.05
STEPS = 3


class QuickJudge:
    """Takes a few moments over each."""

    def __init__(self, work: Path) -> None:
        self._unfinished = Unfinished(work)
        self._failed: set[str] = set()

    def check(self, submission, upload, alive):
        self._take_time(alive)
        accepted = upload.read_bytes().startswith(b"accept")
        check = Check(rule="quick", passed=accepted, reason="as it says")
        return Verdict(track=submission.track, checks=(check,))

    def score(self, submission, upload, alive):
        says = upload.read_bytes().split()[1]
        with self._unfinished.of(submission.id, alive) as kept:
            for step in range(STEPS):
                kept.file(f"{step}.npy").write_bytes(says)
                self._take_time(alive)
            if says == b"ours" and submission.id not in self._failed:
                self._failed.add(submission.id)
                raise ZeroDivisionError("ours")
            made = b"".join(kept.file(f"{step}.npy").read_bytes() for step in range(STEPS))
            kept.forget()
        if says == b"refuse":
            check = Check(rule="quick.running", passed=False, reason="as it says")
            raise BrokeRule("as it says", Verdict(track=submission.track, checks=(check,)))
        return Scored({"values": {"length": {"value": len(made)}}}, "1")

    def forget(self, has_ended):
        self._unfinished.forget_ended(has_ended)

    @staticmethod
    def _take_time(alive):
        time.sleep(MOMENT_S)
        alive()


def main() -> None:
    folder, url, lease_s, name = sys.argv[1:]
    with Store.open(url, migrate=False) as store:
        worker = Worker(
            store,
            Storage(str(Path(folder) / "uploads")),
            QuickJudge(Path(folder) / "work"),
            name=name,
            lifetime=timedelta(seconds=float(lease_s)),
        )
        signal.signal(signal.SIGTERM, lambda *_: worker.stop())
        worker.run(poll_s=0.1)


if __name__ == "__main__":
    main()
