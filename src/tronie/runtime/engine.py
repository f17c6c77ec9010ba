"""onnxruntime, imported here alone, and without its telemetry.

From 1.29 on, its wheel for Linux starts a thread when it is imported, keeps a database in the
user's cache, and sends usage data; ORT_DISABLE_TELEMETRY, read at that moment, forbids it. Whoever
wants it sets that variable to 0.
"""

from __future__ import annotations

import os

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

import onnxruntime

__all__ = ["onnxruntime"]
