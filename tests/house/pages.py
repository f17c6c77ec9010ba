"""Documentation pages as programs: their fenced blocks, in order, and how each is to be run.

    ```bash, ```sh        run by `bash -e`; every command has to succeed
    ```console            the lines after "$ " are run the same way, the others are output
    ```python             run in this process; the blocks of a page share their names
    anything else         is not run

HTML comments, which readers do not see, say the rest:

    <!-- not run: REASON -->     the next block is not run; the reason is listed by pytest
    <!-- needs: network -->      anywhere: the page fetches, and gets the marker `network`
    <!-- before                  hidden commands, run by bash where they stand
    COMMANDS
    -->

Every page runs in an empty folder of its own, with the working tree's `tronie` on the path and
`toys` importable. TRONIE_REPOSITORY names the root of the tree.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

SHELL = ("bash", "sh", "console")
RUNNABLE = (*SHELL, "python")

NOT_RUN = re.compile(r"^<!--\s*not run:\s*(?P<reason>.*?)\s*-->$")
NEEDS_NETWORK = re.compile(r"^<!--\s*needs:\s*network\s*-->$", re.MULTILINE)
FENCE = re.compile(r"^(?P<indent> *)(?P<ticks>```+)(?P<language>[\w-]*).*$")


@dataclass(frozen=True)
class Block:
    """One block of a page: its language, its text, the line it begins on, and whether to run it."""

    language: str
    text: str
    line: int
    reason_not_run: str = ""

    @property
    def commands(self) -> str:
        """What bash is given: for `console` the lines after the prompt."""
        if self.language != "console":
            return self.text
        return "\n".join(line[2:] for line in self.text.splitlines() if line.startswith("$ "))


def needs_network(page: Path) -> bool:
    return NEEDS_NETWORK.search(page.read_text(encoding="utf-8")) is not None


def blocks(page: Path) -> list[Block]:
    """The runnable blocks of `page`, hidden ones included, from top to bottom."""
    found: list[Block] = []
    lines = page.read_text(encoding="utf-8").splitlines()
    reason = ""
    number = 0
    while number < len(lines):
        line = lines[number]
        fence = FENCE.match(line)
        if fence:
            end = _find(lines, number + 1, fence["indent"] + fence["ticks"])
            if fence["language"] in RUNNABLE:
                width = len(fence["indent"])
                text = "\n".join(inner[width:] for inner in lines[number + 1 : end])
                found.append(Block(fence["language"], text, number + 2, reason))
            reason = ""
            number = end
        elif line.strip() == "<!-- before":
            end = _find(lines, number + 1, "-->")
            found.append(Block("bash", "\n".join(lines[number + 1 : end]), number + 2))
            number = end
        elif line.strip():
            comment = NOT_RUN.match(line.strip())
            reason = comment["reason"] if comment else ""
        number += 1
    return found


def _find(lines: list[str], start: int, mark: str) -> int:
    for number in range(start, len(lines)):
        if lines[number].rstrip() == mark:
            return number
    raise ValueError(f"line {start}: opened here and never closed with {mark!r}")
