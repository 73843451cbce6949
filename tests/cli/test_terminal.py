"""What a real terminal shows, and what a command leaves behind when that is closed."""

import json
import os
import re
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest

from tests.support.command import family
from tests.support.records import wire_student
from tests.support.rosters import child
from timeback_async.testing import Faults, MockServer

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pseudo-terminals")

T = TypeVar("T")

COMMAND = (sys.executable, "-m", "timeback_async")
FRAME = re.compile(r"(\d+) % +([\d,]+)/([\d,]+)(?: +([\d,]+)/s)?(?: +(\d:\d\d:\d\d) left)?")


def shown(*arguments: object, columns: int) -> list[str]:
    """Run a command on a terminal, and return every line that it showed."""
    import fcntl
    import pty
    import termios

    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    environ = {name: text for name, text in os.environ.items() if name not in ("COLUMNS", "LINES")}
    process = subprocess.Popen(
        [*COMMAND, *map(str, arguments)],
        stdin=theirs, stdout=theirs, stderr=theirs, env=environ | {"TERM": "xterm"},
    )  # fmt: skip
    os.close(theirs)
    text = b"".join(_read(ours)).decode()
    os.close(ours)
    process.wait()
    lines = re.split(r"[\r\n]+", re.sub(r"\x1b\[[\d;?]*[A-Za-z]", "", text))
    return [line.rstrip() for line in lines]


def _read(terminal: int) -> Iterator[bytes]:
    while True:
        try:
            block = os.read(terminal, 65536)
        except OSError:  # the last process that used it has ended
            return
        if not block:
            return
        yield block


def children(parent: int) -> list[int]:
    """Return the processes that a process has started."""
    return [
        int(word) for word in Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    ]


def is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return "Z" not in Path(f"/proc/{process}/stat").read_text().rpartition(")")[2]


def until(condition: Callable[[], T]) -> T:
    """Wait until something holds, and return it; a test that waits for ever is ended by pytest."""
    for _ in range(3000):
        if found := condition():
            return found
        time.sleep(0.02)
    pytest.fail("it does not come to this")


def students(number: int) -> Path:
    path = Path("students.jsonl")
    lines = (json.dumps({"student": wire_student(f"s-{n}")}) for n in range(number))
    path.write_text("\n".join(lines), "utf-8")
    return path


@pytest.mark.parametrize(("columns", "is_wide"), [(60, False), (80, True)])
def test_a_bar_has_share_total_rate_and_time_left(
    server: MockServer, columns: int, is_wide: bool
) -> None:
    server.faults = Faults(latency=0.05)

    lines = shown("upsert", students(1200), "--max-in-flight", 32, columns=columns)

    frames = [found for line in lines if (found := FRAME.search(line))]
    under_way = [frame for frame in frames if frame[5]]
    assert under_way
    assert {frame[3] for frame in frames} == {"1,200"}
    assert all(int(frame[1]) == int(frame[2].replace(",", "")) * 100 // 1200 for frame in frames)
    assert all(frame[4] for frame in under_way)
    assert any("so far" in line for line in lines)
    assert all(("━" in frame.string) == is_wide for frame in under_way)
    assert max(map(len, lines)) <= columns


def test_reading_and_comparing_are_shown(server: MockServer) -> None:
    lines = shown("sync", family(*(child(f"s-{n}") for n in range(300))), columns=80)

    assert any(line.startswith("reading family ") for line in lines)
    assert any(line.startswith("comparing ") for line in lines)
    assert any(line.startswith("people ") and "300/300" in line for line in lines)


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="reads processes from Linux's /proc")
@pytest.mark.parametrize("how", [signal.SIGHUP, signal.SIGTERM, signal.SIGKILL, signal.SIGINT])
def test_a_demonstration_leaves_no_process_behind(how: signal.Signals) -> None:
    command, log = [*COMMAND, "demo", "--records", "60000", "-vv"], Path("log")
    with log.open("wb") as stderr:
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=stderr)
    until(lambda: log.stat().st_size)  # attempts fail: so the server is there
    (server,) = children(process.pid)

    process.send_signal(how)
    process.wait()

    assert until(lambda: not is_alive(server))
