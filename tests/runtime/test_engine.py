"""The engine is imported without the telemetry that its wheel brings."""

import subprocess
import sys

import pytest

from tronie.runtime.engine import session_options
from working_tree import environment

pytestmark = pytest.mark.onnx
USE = """
import threading, time, os
import tronie.runtime.session
time.sleep(1)
print(len(os.listdir("/proc/self/task")))
"""


def test_every_session_has_its_threads_and_takes_onnx_alone():
    options = session_options(3)
    assert (options.intra_op_num_threads, options.inter_op_num_threads) == (3, 1)
    assert options.log_severity_level == 4
    assert options.get_session_config_entry("session.load_model_format") == "ONNX"
    assert options.get_session_config_entry("session.force_spinning_stop") == "1"


def test_importing_the_engine_starts_no_sender_and_writes_nothing(tmp_path):
    told = dict(environment(), HOME=str(tmp_path), OPENBLAS_NUM_THREADS="1")
    for name in ("ORT_DISABLE_TELEMETRY", "XDG_CACHE_HOME"):
        told.pop(name, None)
    done = subprocess.run(
        [sys.executable, "-c", USE], env=told, capture_output=True, text=True, check=True
    )
    assert list(tmp_path.rglob("*")) == []
    quiet = dict(told, ORT_DISABLE_TELEMETRY="1")
    alone = subprocess.run(
        [sys.executable, "-c", USE], env=quiet, capture_output=True, text=True, check=True
    )
    assert int(done.stdout) == int(alone.stdout), "a thread of its own runs"
