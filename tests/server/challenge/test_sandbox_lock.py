"""Hostile children: each step of the lock holds alone, and the sandbox ends whoever tries."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest

from tronie.server.challenge import sandbox, sandbox_lock, seccomp
from tronie.server.challenge.sandbox import Bounds, Sandbox, SandboxError
from working_tree import environment

pytestmark = [
    pytest.mark.onnx,
    pytest.mark.skipif(seccomp.architecture_here() is None, reason="no filter for this machine"),
]

PIXELS = np.zeros((1, 3, 8, 8), np.float32)
MIB = 2**20


@pytest.fixture(autouse=True)
def nothing_is_left():
    """No process in any group or session of a child outlives its test."""
    yield
    assert [pid for pid in family() if pid != os.getpid()] == []


def family() -> list[int]:
    """This process and all that it started, however deep, zombies too."""
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(stat.parent.name)] = int(stat.read_text().rsplit(")", 1)[1].split()[1])
        except OSError:
            continue
    found = [os.getpid()]
    for pid in found:
        found += [child for child, parent in parents.items() if parent == pid]
    return found


PREPARED = """
import json, sys; sys.path[:] = json.loads(sys.argv[1])
import ctypes, mmap, os, resource, signal, socket, struct, subprocess, threading, time
from tronie.errors import BadModel
from tronie.server.challenge import sandbox_child, sandbox_frames, sandbox_lock, seccomp
libc = ctypes.CDLL(None, use_errno=True)
libc.getpid()
{before}
def attack(data, threads):
    {body}
sandbox_child.main(attack)
"""


@pytest.fixture
def child(monkeypatch):
    """`child(body)`: the child runs `body` behind the lock, as if a model had taken it over."""

    def use(body: str, *, before: str = "") -> None:
        source = textwrap.indent(textwrap.dedent(body).strip(), "    ").strip()
        program = PREPARED.format(body=source, before=textwrap.dedent(before))
        monkeypatch.setattr(sandbox, "CHILD", program)

    return use


def ended(message: str, bounds: Bounds | None = None) -> SandboxError:
    bounds = bounds or Bounds(call_s=20)
    with (
        pytest.raises(SandboxError, match=message) as caught,
        Sandbox(b"model", name="hostile", bounds=bounds) as box,
    ):
        box.run(PIXELS)
    return caught.value


REPORT = """
    found = {}
    for name, tried in attempts.items():
        try:
            found[name] = repr(tried())
        except (OSError, ValueError) as fault:
            found[name] = type(fault).__name__
    raise BadModel(json.dumps(found))
"""


def test_what_is_refused_behind_the_lock(child, tmp_path):
    """Files, parents, limits, users: every attempt fails, and the child lives to tell it."""
    tmp_path.chmod(0o777)
    (tmp_path / "secret").write_text("not for you")
    (tmp_path / "secret").chmod(0o666)
    child(
        f"""
        secret, parent = {str(tmp_path / "secret")!r}, os.getppid()
        attempts = {{
            "read": lambda: open(secret).read(),
            "write": lambda: open(secret, "w"),
            "make": lambda: open({str(tmp_path / "made")!r}, "w"),
            "remove": lambda: os.remove(secret),
            "rename": lambda: os.rename(secret, secret + "2"),
            "list": lambda: os.listdir("/"),
            "memory of parent": lambda: open(f"/proc/{{parent}}/mem", "rb"),
            "environment of parent": lambda: open(f"/proc/{{parent}}/environ", "rb"),
            "own memory": lambda: open("/proc/self/mem", "rb"),
            "kill": lambda: os.kill(parent, 0),
            "kill group": lambda: os.killpg(os.getpgid(parent), 0),
            "kill everybody": lambda: os.kill(-1, 0),
            "user": lambda: os.setresuid(0, 0, 0),
            "session": lambda: os.setsid(),
            "more memory": lambda: resource.setrlimit(resource.RLIMIT_AS, (-1, -1)),
            "run what was written": lambda: mmap.mmap(-1, 4096, prot=7),
            "memory file": lambda: os.memfd_create("x"),
            "pipe": lambda: os.pipe(),
            "device": lambda: os.mknod("/tmp/node"),
        }}
        {textwrap.indent(textwrap.dedent(REPORT), "        ").strip()}
        """
    )
    fault = ended("the engine cannot open model hostile")
    found = json.loads(fault.log.partition("BadModel: ")[2])
    assert len(found) == 19
    assert {name: how for name, how in found.items() if "Error" not in how} == {}
    assert (tmp_path / "secret").read_text() == "not for you"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["secret"]


@pytest.mark.slow
@pytest.mark.parametrize(
    "body",
    [
        "socket.socket()",
        "libc.connect(0, struct.pack('=HHI8x', 2, 0x5000, 0x0100007F), 16)",  # 127.0.0.1:80
        "os.execv('/bin/sh', ['sh', '-c', 'sleep 60'])",
        "os.posix_spawn('/bin/sleep', ['sleep', '60'], {})",
        "while True: os.fork()",
        "libc.ptrace(16, os.getppid(), 0, 0)",
    ],
)
def test_what_no_model_needs_ends_the_child(child, body):
    child(body)
    fault = ended("model hostile tried a system call that no model needs and was stopped")
    assert fault.kind == "crashed"


FOREVER = Bounds(call_s=0.7)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("body", "message", "kind"),
    [
        ("time.sleep(1000)", "took longer than 0.7 s", "time"),
        ("while True: pass", "took longer than 0.7 s", "time"),
        ("while True: os.write(2, b'x' * 65536)", "the engine cannot open model", "refused"),
        ("while True: os.write(1, b'x' * 65536)", "the engine cannot open model", "refused"),
        ("while True: os.write(answers, b'x' * 65536)", "answered in no form", "output"),
        ("os.write(answers, b'TSB1'); time.sleep(1000)", "took longer than 0.7 s", "time"),
        ("os.write(answers, header(3, 2**62, 0))", "answered in no form", "output"),
        ("os.write(answers, header(3, 10, 2**62))", "answered in no form", "output"),
        ("os.write(answers, header(3, 65537, 0))", "answered in no form", "output"),
        ("os.write(answers, header(5, 2, 0) + b'{}')", "answered in no form", "output"),
        ("os.write(answers, header(3, 2, 0) + b'{}')", "described itself in no form", "output"),
        ("os.write(answers, header(3, 4, 0) + b'[[[[')", "answered in no form", "output"),
        ("os.close(answers); os.close(1); os._exit(0)", "ended its process .exit st", "crashed"),
        ("os._exit(3)", r"ended its process \(exit status 3\)", "crashed"),
        ("os.abort()", r"ended its process \(SIGABRT\)", "crashed"),
        ("ctypes.string_at(0)", r"ended its process \(SIGSEGV\)", "crashed"),
        ("raise SystemExit('<b>')", r"ended its process \(exit status 1\)", "crashed"),
        ("x = bytearray(10**10)", "asked for more than 4 GiB of memory", "memory"),
    ],
)
def test_a_child_that_misbehaves_is_ended_and_the_parent_goes_on(child, body, message, kind):
    child(
        body,
        before="""
        def header(kind, head, body):
            return struct.pack("<4sB3xQQ", b"TSB1", kind, head, body)
        answers = 4  # after the pipes, requests are 3
        """,
    )
    start = time.monotonic()
    fault = ended(message, FOREVER if kind == "time" else None)
    assert fault.kind == kind
    assert time.monotonic() - start < 20
    assert "<b>" not in str(fault)


@pytest.mark.slow
def test_a_child_that_closes_its_pipe_but_stays_is_killed(child, monkeypatch):
    monkeypatch.setattr("tronie.server.challenge.sandbox_process.GONE_S", 0.5)
    child("[os.close(fd) for fd in (0, 1, 2, 3, 4)]; time.sleep(1000)")
    assert ended("ended its process").kind == "crashed"


@pytest.mark.slow
def test_a_child_that_ignores_every_signal_is_killed(child):
    child("[signal.signal(n, signal.SIG_IGN) for n in (1, 2, 15, 24)]; time.sleep(1000)")
    assert ended("took longer than 0.7 s", FOREVER).kind == "time"


@pytest.mark.slow
def test_a_child_that_ignores_the_end_of_its_processor_time_is_killed(child):
    child("signal.signal(signal.SIGXCPU, signal.SIG_IGN)\nwhile True: pass")
    fault = ended("model hostile ended its process", Bounds(cpu_s=1, call_s=30))
    assert fault.kind == "crashed"


@pytest.mark.slow
def test_threads_are_bounded_and_so_is_what_they_take(child):
    child(
        """
        started = 0
        try:
            while True:
                threading.Thread(target=time.sleep, args=(1000,), daemon=True).start()
                started += 1
        except RuntimeError:
            raise BadModel(f"{started} threads")
        """
    )
    fault = ended("the engine cannot open", Bounds(processes=8, call_s=20))
    assert fault.log.startswith("BadModel: ")
    if sandbox.host_report()["threads"] == "limit":
        assert "BadModel: 7 threads" in fault.log


def test_pictures_the_child_makes_up_are_refused(child):
    child(
        """
        class Liar:
            inputs, outputs = (("x", "float32", ()),), (("y", "float32", ()),)
            def run(self, pixels):
                return [pixels.astype("float64")]
        return Liar()
        """
    )
    fault = ended("model hostile gave other outputs than it declares and was stopped")
    assert fault.kind == "output"


@pytest.mark.slow
@pytest.mark.parametrize("times", ["-1.0", "float('nan')", "1e9"])
def test_times_the_child_makes_up_are_refused(child, times):
    child(
        f"""
        import numpy
        sandbox_child._timed = lambda *_: numpy.full(3, {times})
        class Liar:
            inputs = outputs = (("x", "float32", ()),)
            run = None
        return Liar()
        """,
        before="import numpy",
    )
    with (
        Sandbox(b"model", name="hostile") as box,
        pytest.raises(SandboxError, match="told times that cannot be") as caught,
    ):
        box.latencies_ms(PIXELS, rounds=3, warmup=0)
    assert caught.value.kind == "output"


def test_a_child_that_says_it_is_locked_and_is_not_is_not_believed(child):
    child("pass", before="seccomp.install = lambda pid: ''")
    if sandbox_lock.seccomp.architecture_here() is None:
        pytest.skip("no filter for this architecture")
    fault = ended("the sandbox says that it is locked, and is not")
    assert fault.kind == "start"


@pytest.mark.slow
def test_a_process_of_several_threads_is_not_locked(child):
    child("pass", before="threading.Thread(target=time.sleep, args=(60,), daemon=True).start()")
    fault = ended("the sandbox did not come up")
    assert "a process must have 1 thread to lock itself; this one has 2" in fault.log


def test_the_child_dies_with_its_parent():
    """A parent that is killed in the middle of a call leaves nobody behind."""
    asleep = """
        sandbox_child.rehearse = lambda threads: None
        sandbox_child.serve = lambda *_, **__: time.sleep(1000)
    """
    source = """
        import os, sys
        from tronie.server.challenge import sandbox
        sandbox.CHILD = sys.argv[1]
        process = sandbox._started(sandbox.Bounds())
        sandbox._ready(process)
        print(process.pid, flush=True)
        os.kill(os.getpid(), 9)
    """
    program = PREPARED.format(body="pass", before=textwrap.dedent(asleep))
    parent = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(source), program],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert parent.returncode == -signal.SIGKILL, parent.stderr
    child = Path(f"/proc/{int(parent.stdout)}/stat")
    until = time.monotonic() + 10
    while _lives(child) and time.monotonic() < until:
        time.sleep(0.01)
    assert not _lives(child)


def _lives(stat: Path) -> bool:
    try:
        return stat.read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


# What a machine may forbid, by a filter around the whole child: a container's, for one.
FORBID = """
code = [seccomp._load(0)]
for number in {numbers}:
    code += [seccomp._jump("equal", number, skip_if_false=1), seccomp._answer(0x50001)]
code = b"".join([*code, seccomp._answer(0x7FFF0000)])
lines = ctypes.create_string_buffer(code, len(code))
header = seccomp._Program(len(code) // 8, ctypes.addressof(lines))
assert libc.prctl(38, 1, 0, 0, 0) == 0 and libc.prctl(22, 2, ctypes.byref(header), 0, 0) == 0
"""
UNSHARE = {"x86_64": 272, "aarch64": 97}.get(os.uname().machine)
SETRESUID = {"x86_64": 117, "aarch64": 147}.get(os.uname().machine)
LANDLOCK = 444


def report_where(child, *numbers, body="raise BadModel('done')") -> tuple[dict, SandboxError]:
    """What is reported, and how the body ends, on a machine that forbids these calls."""
    before = FORBID.format(numbers=numbers)
    child(body, before=before)
    return dict(sandbox.host_report()), ended("model hostile")


@pytest.mark.slow
def test_without_namespaces_the_network_is_closed_by_the_filter(child):
    told, fault = report_where(child, UNSHARE, body="socket.socket()")
    assert (told["network"], told["namespaces"]) == ("seccomp", "not enforced")
    assert "tried a system call" in str(fault)


@pytest.mark.slow
def test_without_landlock_files_are_closed_by_the_filter(child):
    told, fault = report_where(child, LANDLOCK, body="open('/etc/passwd')")
    assert told["filesystem"] == "seccomp"
    assert "PermissionError" in fault.log


@pytest.mark.slow
def test_without_the_right_to_change_the_user_it_is_said(child):
    told, _ = report_where(child, SETRESUID, UNSHARE)
    assert told["user"] == "not enforced"
    assert (told["processes"], told["privileges"]) == ("seccomp", "none left")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("body", "how"),
    [
        ("open('/etc/passwd')", "PermissionError"),
        ("open('/tmp/x', 'w')", "PermissionError"),
        ("os.kill(os.getppid(), 0)", "PermissionError"),
        ("socket.create_connection(('127.0.0.1', 80), timeout=5)", "Error"),
        ("os.setuid(0)", "Error"),
        ("subprocess.run(['/bin/true'])", "Error"),
    ],
)
def test_without_a_filter_the_rest_still_holds(child, body, how):
    child(body, before="seccomp.install = lambda pid: 'no filter'")
    told = sandbox.host_report()
    if told["filesystem"] != "landlock" or told["user"] == "not enforced":
        pytest.skip("this machine has no Landlock, or no user to become")
    assert told["system_calls"] == "not enforced"
    assert how in ended("the engine cannot open").log


def test_limits_that_were_stricter_stay_and_nothing_else_is_changed():
    source = """
        import json, resource as r
        r.setrlimit(r.RLIMIT_NOFILE, (20, 20))
        from tronie.server.challenge import sandbox_lock
        sandbox_lock.limit(memory_bytes=2**33, cpu_s=1.5, file_bytes=0, open_files=64)
        kinds = (r.RLIMIT_NOFILE, r.RLIMIT_AS, r.RLIMIT_CPU, r.RLIMIT_FSIZE, r.RLIMIT_CORE)
        print(json.dumps([r.getrlimit(kind) for kind in kinds]))
    """
    out = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(source)],
        env=environment(),
        capture_output=True,
        check=True,
        timeout=60,
    )
    assert json.loads(out.stdout) == [[20, 20], [2**33] * 2, [2, 3], [0, 0], [0, 0]]


@pytest.mark.parametrize(
    ("kernel", "anew"),
    [
        ("5.14.0-70.el9", True),
        ("6.1.0-18-amd64", True),
        ("5.4.0-150-generic", False),
        ("4.18.0", False),
        ("unknown", False),
    ],
)
def test_threads_are_counted_by_namespace_since_a_kernel(kernel, anew):
    assert sandbox_lock.counts_by_namespace(kernel) is anew
