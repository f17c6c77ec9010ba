"""onnxruntime, imported here alone, and without its telemetry.

From 1.29 on, its wheel for Linux starts a thread when it is imported, keeps a database in the
user's cache, and sends usage data; ORT_DISABLE_TELEMETRY, read at that moment, forbids it. Whoever
wants it sets that variable to 0.

By itself the engine takes bytes with "ORTM" at place 4 for its own format, in which another graph
may stand than the one that ONNX reads in the same bytes. The options of `session_options` forbid
it. And they stop the threads of a session from spinning when a call returns: where a detector and
an embedder take turns, those of the one would hold the cores that the other computes on.
"""

from __future__ import annotations

import os

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

import onnxruntime

__all__ = ["onnxruntime", "session_options"]


def session_options(threads: int) -> onnxruntime.SessionOptions:
    """Of every session: `threads` cores for one call, no word on standard error, ONNX alone."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 4
    options.add_session_config_entry("session.load_model_format", "ONNX")
    options.add_session_config_entry("session.force_spinning_stop", "1")
    return options
