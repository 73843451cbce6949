"""A state that is read while another process holds it, and writes."""

import json
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from tests.support.config import config
from timeback_async.errors import ConfigError
from timeback_async.sync import State
from timeback_async.sync._planning import snapshot as module
from timeback_async.sync._planning.snapshot import _copy, snapshot

# As a state is written, but with checkpoints, after which the log begins anew, all the time.
WRITER = """
import sqlite3, sys, time
db = sqlite3.connect(sys.argv[1], isolation_level=None)
for pragma in ("locking_mode=EXCLUSIVE", "journal_mode=WAL", "wal_autocheckpoint=50"):
    db.execute("PRAGMA " + pragma)
db.execute("CREATE TABLE lines (number, other, text)")
db.execute("CREATE INDEX by_other ON lines (other)")
print(flush=True)
number = 0
while True:
    db.execute("BEGIN")
    for _ in range(7):
        number += 1
        db.execute("INSERT INTO lines VALUES (?,?,?)", (number, number * 7919 % 10007, "x" * 200))
    db.execute("COMMIT")
    time.sleep(0.001)
"""


@contextmanager
def written(path: Path) -> Iterator[None]:
    command = [sys.executable, "-c", WRITER, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None
        writer.stdout.readline()
        try:
            yield
        finally:
            writer.kill()


def test_a_copy_is_whole_however_much_is_written_meanwhile(tmp_path: Path) -> None:
    copied, numbers = 0, [0]
    with written(tmp_path / "state.db"):
        for attempt in range(20):
            copy = tmp_path / f"copy-{attempt}"
            try:
                _copy(tmp_path / "state.db", copy)
            except sqlite3.OperationalError:  # the log began anew each time
                continue
            copied += 1
            with closing(sqlite3.connect(copy)) as db:
                assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
                count, last = db.execute("SELECT count(*), max(number) FROM lines").fetchone()
            assert count == (last or 0)
            assert count % 7 == 0
            numbers.append(count)

    assert copied
    assert numbers == sorted(numbers)


def test_a_state_is_shown_while_a_run_holds_it(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    command = [
        sys.executable,
        "-m",
        "timeback_async",
        "state",
        "show",
        "--json",
        "--state",
        str(path),
    ]

    with State(path, config()):
        done = subprocess.run(command, capture_output=True, check=True)

    assert json.loads(done.stdout)["ok"]


def test_a_state_that_is_written_too_quickly_is_in_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    State(tmp_path / "state.db").close()
    headers = iter(range(100))
    monkeypatch.setattr(module, "_header", lambda log: next(headers))

    with pytest.raises(ConfigError, match="in use"), snapshot(tmp_path / "state.db"):
        pass


def test_what_is_done_to_a_snapshot_is_lost(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    State(path, config()).close()
    before = path.read_bytes()

    with snapshot(path) as state:
        state.forget(["s-1"])

    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
