"""The filter does what its tables say: read here as the kernel reads it, and tried for real."""

from __future__ import annotations

import re
import signal
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from tronie.server.challenge import seccomp
from working_tree import environment

HERE = seccomp.architecture_here()
HEADERS = {
    "x86_64": Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h"),
    "aarch64": Path("/usr/include/asm-generic/unistd.h"),
}
PID = 4711
EVERY = {**seccomp.ALLOWED, **seccomp.FATAL}


def answer(program: bytes, number: int, arguments=(), *, audit: int) -> int:
    """What classic BPF gives for one system call: an interpreter in a dozen lines."""
    values = [a & (2**64 - 1) for a in [*arguments, 0, 0, 0, 0, 0, 0][:6]]
    call = struct.pack("=IIQ6Q", number, audit, 0, *values)
    accumulator, line = 0, 0
    while True:
        code, skip_true, skip_false, value = struct.unpack_from("=HBBI", program, 8 * line)
        line += 1
        if code == 0x20:
            (accumulator,) = struct.unpack_from("=I", call, value)
        elif code == 0x06:
            return value
        else:
            holds = {
                0x15: accumulator == value,
                0x35: accumulator >= value,
                0x45: accumulator & value != 0,
            }[code]
            line += skip_true if holds else skip_false


def says(architecture, number, *arguments):
    program = seccomp.program(architecture, PID)
    return answer(program, number, arguments, audit=seccomp.AUDIT[architecture])


def column(architecture):
    return ("x86_64", "aarch64").index(architecture)


@pytest.mark.parametrize("architecture", ["x86_64", "aarch64"])
def test_each_call_of_the_tables_gets_its_answer_and_every_other_is_refused(architecture):
    conditional = seccomp.conditional(PID)
    wanted = {n[column(architecture)]: seccomp.ALLOW for n in seccomp.ALLOWED.values()}
    wanted |= {n[column(architecture)]: seccomp.KILL for n in seccomp.FATAL.values()}
    for number in range(600):
        if number == 435:
            assert says(architecture, number) == seccomp.ENOSYS  # clone3
        elif number not in {n[column(architecture)] for n, _ in conditional.values()}:
            assert says(architecture, number) == wanted.get(number, seccomp.EACCES), number


@pytest.mark.parametrize("architecture", ["x86_64", "aarch64"])
@pytest.mark.parametrize("name", ["openat", "openat2", "open", "creat", "memfd_create", "kill"])
def test_nothing_can_be_opened_made_or_signaled(architecture, name):
    numbers = {
        "openat": (257, 56),
        "openat2": (437, 437),
        "open": (2, 1024),
        "creat": (85, 1064),
        "memfd_create": (319, 279),
        "kill": (62, 129),
    }
    assert says(architecture, numbers[name][column(architecture)]) == seccomp.EACCES


@pytest.mark.parametrize("architecture", ["x86_64", "aarch64"])
def test_conditions_look_at_the_arguments(architecture):
    at = column(architecture)
    number = {name: n[at] for name, (n, _) in seccomp.conditional(PID).items()}

    def ask(name, *arguments):
        return says(architecture, number[name], *arguments)

    read, write, execute = 1, 2, 4
    assert ask("mmap", 0, 4096, read | write) == seccomp.ALLOW
    assert ask("mmap", 0, 4096, read | execute) == seccomp.EACCES
    assert ask("mprotect", 0, 4096, write | execute) == seccomp.EACCES
    thread = 0x3D0F00  # what the C library asks for: VM, FS, FILES, SIGHAND, THREAD, ...
    assert ask("clone", thread) == seccomp.ALLOW
    assert ask("clone", signal.SIGCHLD) == seccomp.KILL  # a fork
    assert ask("clone", thread | 0x10000000) == seccomp.KILL  # into a user namespace
    assert ask("tgkill", PID, PID, signal.SIGABRT) == seccomp.ALLOW
    assert ask("tgkill", PID + 1, PID + 1, signal.SIGKILL) == seccomp.EACCES
    assert ask("prlimit64", 0, 7, 0) == seccomp.ALLOW
    assert ask("prlimit64", 0, 7, 0x7FFF_0000_1000) == seccomp.EACCES
    assert ask("prlimit64", 0, 7, 1 << 32) == seccomp.EACCES  # the upper half of a pointer
    assert ask("prctl", 15) == seccomp.ALLOW
    assert ask("prctl", 4) == seccomp.EACCES


@pytest.mark.parametrize("architecture", ["x86_64", "aarch64"])
def test_another_calling_convention_is_fatal(architecture):
    program = seccomp.program(architecture, PID)
    i386 = 0x40000003
    assert answer(program, 1, audit=i386) == seccomp.KILL
    if architecture == "x86_64":
        assert says("x86_64", seccomp.X32 | 1) == seccomp.KILL


@pytest.mark.parametrize("architecture", ["x86_64", "aarch64"])
def test_the_numbers_are_those_of_the_kernel(architecture):
    if not HEADERS[architecture].is_file():
        pytest.skip(f"no {HEADERS[architecture]}; it comes with the package linux-libc-dev")
    text = HEADERS[architecture].read_text()
    kernel = {
        name: int(number)
        for name, number in re.findall(r"#define __NR(?:3264)?_(\w+)\s+(\d+)\b", text)
    }
    ours = {name: numbers[column(architecture)] for name, numbers in EVERY.items()}
    ours |= {n: numbers[column(architecture)] for n, (numbers, _) in seccomp.conditional(1).items()}
    assert ours == {name: kernel.get(name) for name in ours}


def test_a_program_fits_the_kernels_bound():
    assert len(seccomp.program("x86_64", PID)) // 8 <= 4096


TRY = """
import sys; sys.path[:] = sys.path + [{src!r}]
import ctypes, mmap, os, signal, socket, threading
from tronie.server.challenge import seccomp
libc = ctypes.CDLL(None, use_errno=True)
assert libc.prctl(38, 1, 0, 0, 0) == 0
assert seccomp.install(os.getpid()) == "", seccomp.install(os.getpid())
{body}
os.write(1, b"lived")
"""


def tried(body: str) -> tuple[int, str]:
    """Exit status and output of a small process that runs `body` behind the filter."""
    source = TRY.format(src=environment()["PYTHONPATH"].split(":")[0], body=body)
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-B", "-c", source], capture_output=True, timeout=60
    )
    return done.returncode, (done.stdout + done.stderr).decode()


needs_a_filter = pytest.mark.skipif(HERE is None, reason="no filter for this architecture")


@needs_a_filter
@pytest.mark.parametrize(
    "body",
    [
        "socket.socket()",
        "socket.socketpair()",
        "os.fork()",
        "os.execv('/bin/true', ['true'])",
        "libc.ptrace(16, os.getppid(), 0, 0)",
        "libc.mount(b'none', b'/tmp', b'tmpfs', 0, 0)",
        "libc.unshare(0x10000000)",
        "libc.syscall({'x86_64': 425, 'aarch64': 425}[os.uname().machine], 8, 0)",
    ],
)
def test_what_no_model_needs_kills_the_process(body):
    assert tried(body) == (-signal.SIGSYS, "")


@needs_a_filter
@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("open('/etc/passwd')", "Permission denied: '/etc/passwd'"),
        ("open('/tmp/written-by-a-model', 'w')", "Permission denied"),
        ("os.kill(os.getppid(), 9)", "Permission denied"),
        ("os.unlink('/tmp/x')", "Permission denied"),
        ("os.listdir('/')", "Permission denied: '/'"),
        ("os.setuid(0)", "Permission denied"),
        ("os.memfd_create('x')", "Permission denied"),
        ("mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_EXEC)", "Permission denied"),
    ],
)
def test_what_is_refused_fails_and_the_process_lives(body, message):
    code, out = tried(body)
    assert code == 1
    assert message in out


@needs_a_filter
def test_arithmetic_memory_threads_and_abort_go_on():
    threads = "t = threading.Thread(target=sum, args=([1],)); t.start(); t.join(); bytearray(10**8)"
    assert tried(threads) == (0, "lived")
    assert tried("os.abort()")[0] == -signal.SIGABRT


def test_a_machine_without_a_filter_is_named(monkeypatch):
    monkeypatch.setattr(seccomp.platform, "machine", lambda: "riscv64")
    assert seccomp.install(PID) == "there is no filter for riscv64"
