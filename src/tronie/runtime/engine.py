"""onnxruntime, imported here alone, and without its telemetry.

From 1.29 on, its wheel for Linux starts a thread when it is imported, keeps a database in the
user's cache, and sends usage data; ORT_DISABLE_TELEMETRY, read at that moment, forbids it. Whoever
wants it sets that variable to 0.

By itself the engine takes bytes with "ORTM" at place 4 for its own format, in which another graph
may stand than the one that ONNX reads in the same bytes. AS_ONNX, put into the options of every
session, forbids it.
"""

from __future__ import annotations

import os

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

import onnxruntime

__all__ = ["AS_ONNX", "onnxruntime"]

AS_ONNX = ("session.load_model_format", "ONNX")
"""Name and value of an entry of a session's options."""
