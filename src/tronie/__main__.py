"""`python -m tronie` is the command `tronie`; so torchrun starts it in several processes."""

from __future__ import annotations

import sys

from tronie.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
