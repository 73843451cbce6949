"""What is kept from run to run, and what is refused."""

import os
import random
import sqlite3
import subprocess
import sys
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.support.rosters import lines
from timeback_async import Config
from timeback_async.errors import ConfigError
from timeback_async.sync import Entry, Ids, State, StateError
from timeback_async.sync._planning import opening as _opening

CONFIG = Config(client_id="client", client_secret="secret", base_url="https://one.example")
ADVICE = "move it away and run again"


def entry(state: State, own: str = "s-1", **changes: Any) -> Entry:
    known = Entry(
        id=state.id_of(own),
        kind="student",
        hash=state.hash_of(own.encode()),
        outcome="saved",
        status=200,
        attempts=1,
        time=1000.0,
        source="users",
    )
    return known._replace(**changes)


def keep(state: State, entries: Iterable[Entry]) -> None:
    """Write outcomes, and end the run that they came of."""
    state.write(lines(entries))
    state.settle()


def link(state: State, student: str, user: str, **changes: Any) -> Entry:
    people = {"student": state.id_of(student), "user": state.id_of(user), "agent_id": "a-1"}
    return entry(state, f"{student}\n{user}", kind="agent", **people | changes)


def filled(path: Path, number: int = 1, ids: Ids = "hashed", *, killed: bool = False) -> Path:
    with State(path, CONFIG, ids) as state:
        state.write(lines(entry(state, f"person-{n}") for n in range(number)))
        if killed:
            state._db.close()  # before it is settled
    return path


def refusal(path: Path, *args: Any, **options: Any) -> str:
    """Return why a state is not opened."""
    with pytest.raises(ConfigError) as caught:
        State(path, *args, **options)
    return str(caught.value)


# -- what is kept


def test_what_is_written_is_there_when_the_state_is_opened_again(tmp_path: Path) -> None:
    with State(tmp_path / "state.db") as state:
        known = [entry(state, "s-1"), link(state, "s-1", "u-1")]
        keep(state, known)
        state.note(last_run=7.5)

    with State(tmp_path / "state.db") as state:
        assert sorted(state.entries()) == sorted(known)
        assert state.lookup(state.id_of("s-1")) == (state.hash_of(b"s-1"), "saved", "users")
        assert state.lookup(state.id_of("s-2")) is None
        assert state.meta("last_run") == 7.5
        assert state.meta("nothing") is None


def test_a_state_without_a_path_is_forgotten() -> None:
    with State(None, CONFIG) as state:
        keep(state, [entry(state)])
        assert state.count() == {("student", "saved"): 1}

    with State(None, CONFIG) as state:
        assert state.count() == {}


def test_a_failure_keeps_the_hash_of_what_the_server_has() -> None:
    with State(None) as state:
        keep(state, [entry(state)])
        keep(state, [entry(state, hash=None, outcome="failed", status=422, time=2000.0)])

        (known,) = state.entries()
        assert known == entry(state, outcome="failed", status=422, time=2000.0)
        assert known.is_held


def test_a_removal_keeps_whose_link_it_was() -> None:
    with State(None) as state:
        known = link(state, "s-1", "u-1")
        keep(state, [known])
        keep(state, [entry(state, "s-1\nu-1", kind="agent", hash=b"", outcome="deleted")])

        assert list(state.entries()) == [known._replace(hash=b"", outcome="deleted")]


def test_what_the_server_may_have_because_of_us_is_held() -> None:
    with State(None) as state:
        keep(
            state,
            [
                entry(state, "saved"),
                entry(state, "changed", outcome="unknown"),
                entry(state, "perhaps", hash=None, outcome="failed"),
                entry(state, "gone", hash=b"", outcome="deactivated"),
                entry(state, "told", outcome="deactivated"),
                entry(state, "user", kind="user"),
                link(state, "saved", "user"),
                link(state, "changed", "user", hash=b"", outcome="deleted"),
            ],
        )

        assert state.held() == {"student": 3, "user": 1, "agent": 1}
        assert sum(each.is_held for each in state.entries()) == 5


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_only_its_owner_can_read_it(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        with State(tmp_path / "state.db", CONFIG) as state:
            keep(state, [entry(state)])
            modes = {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}
    finally:
        os.umask(before)

    assert modes == {0o600}


# -- ids


@pytest.mark.parametrize(("ids", "is_there"), [("hashed", False), ("plain", True)])
def test_ids_stand_in_the_file_only_when_that_is_wanted(
    tmp_path: Path, ids: Ids, is_there: bool
) -> None:
    path = filled(tmp_path / "state.db", ids=ids)

    assert (b"person-0" in path.read_bytes()) is is_there


def test_every_state_has_a_key_of_its_own() -> None:
    with State(None) as one, State(None) as other:
        assert one.id_of("s-1") == one.id_of("s-1") != other.id_of("s-1")
        assert one.hash_of(b"{}") == one.hash_of(b"{}") != other.hash_of(b"{}")


def test_how_ids_are_kept_holds_from_the_first_record_on(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    with State(path, CONFIG, "hashed"):
        pass
    filled(path, ids="plain")

    assert "keeps plain ids, which" in refusal(path, CONFIG, "hashed")
    with State(path, CONFIG) as state:
        assert state.ids == "plain"
        assert state.id_of("s-1") == "s-1"


def test_nothing_of_who_is_forgotten_can_be_found_in_the_file(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    people = [f"person-{n:05}" for n in range(2000)]
    with State(path, CONFIG, "plain") as state:
        state._db.execute("PRAGMA secure_delete = OFF")
        keep(state, (entry(state, own) for own in people))
        state.forget(people[:1000])

    content = b"".join(each.read_bytes() for each in tmp_path.iterdir())
    assert not any(own.encode() in content for own in people[:1000])
    assert all(own.encode() in content for own in people[1000:])


def test_an_id_that_is_no_text_is_kept_too() -> None:
    with State(None) as state:
        assert state.id_of("\udcff") != state.id_of("\udcfe")
        assert state.forget(["\udcff"]) == 0


# -- forgetting


@pytest.mark.parametrize("ids", ["hashed", "plain"])
def test_who_is_forgotten_is_gone_with_all_links(tmp_path: Path, ids: Ids) -> None:
    path = tmp_path / "state.db"
    with State(path, CONFIG, ids) as state:
        keep(state, (entry(state, own) for own in ("student-1", "student-2", "parent-1")))
        keep(state, [link(state, "student-1", "parent-1"), link(state, "student-2", "parent-1")])

    with State(path) as state:
        assert state.forget(["student-1", "nobody"]) == 2
        assert state.count() == {("student", "saved"): 2, ("agent", "saved"): 1}
        assert state.forget(["parent-1"]) == 2
        hashed = state.id_of("student-1")

    content = b"".join(each.read_bytes() for each in tmp_path.iterdir())
    assert b"student-1" not in content
    assert b"parent-1" not in content
    assert hashed.encode() not in content


# -- whose it is


@pytest.mark.parametrize(
    "other",
    [{"base_url": "https://two.example"}, {"client_id": "another"}],
    ids=["endpoint", "client"],
)
def test_another_endpoint_or_client_is_refused(tmp_path: Path, other: dict[str, str]) -> None:
    path = filled(tmp_path / "state.db")
    settings: dict[str, Any] = {
        "client_id": "client",
        "client_secret": "s",
        "base_url": "https://one.example",
    }

    why = refusal(path, Config(**(settings | other)))

    assert "belongs to another endpoint or client (https://one.example)" in why
    assert "give each its own state" in why


def test_a_new_secret_is_no_new_client(tmp_path: Path) -> None:
    path = filled(tmp_path / "state.db")
    renewed = Config(client_id="client", client_secret="new", base_url="https://one.example")

    with State(path, renewed) as state:
        assert state.count() == {("student", "saved"): 1}


def test_a_state_belongs_to_whom_the_first_outcome_is_written_for(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    mistyped = Config(client_id="cleint", client_secret="secret", base_url="https://one.example")
    with State(path, mistyped):
        pass
    with State(path, CONFIG) as state:
        assert state.meta("endpoint") is None
        keep(state, [entry(state)])

    assert "belongs to another" in refusal(path, mistyped)
    with State(path) as state:
        assert state.meta("endpoint") == "https://one.example"


# -- one at a time


def test_a_state_is_open_once_in_a_process(tmp_path: Path) -> None:
    with State(tmp_path / "state.db", CONFIG):
        assert "is in use by another run" in refusal(tmp_path / "state.db", CONFIG)


def test_a_state_is_open_in_one_process_and_free_when_that_is_killed(tmp_path: Path) -> None:
    path = filled(tmp_path / "state.db")
    script = (
        "import sys; from timeback_async.sync import State; state = State(sys.argv[1]);"
        "print(flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", script, str(path)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()

        assert "is in use by another run" in refusal(path, CONFIG)
        holder.kill()

    with State(path, CONFIG) as state:
        assert state.count() == {("student", "saved"): 1}


# -- what is no state


def test_a_state_that_has_to_be_there_is_not_made(tmp_path: Path) -> None:
    assert "does not exist" in refusal(tmp_path / "state.db", create=False)
    assert not (tmp_path / "state.db").exists()


def test_where_it_cannot_be_is_told(tmp_path: Path) -> None:
    assert "No such file or directory" in refusal(tmp_path / "missing" / "state.db", CONFIG)
    assert "is a folder" in refusal(tmp_path, CONFIG)
    (tmp_path / "state.db-wal").mkdir()
    assert "cannot be opened" in refusal(tmp_path / "state.db", CONFIG)


def test_a_file_of_something_else_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("to do: buy milk\n" * 100)

    assert "is damaged, or not a state" in refusal(path, CONFIG)
    assert path.read_text() == "to do: buy milk\n" * 100


def test_a_database_of_something_else_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE records (name TEXT)")
    db.close()

    assert "is a database, but not the state of a sync" in refusal(path, CONFIG)


@pytest.mark.parametrize("version", [1, _opening.VERSION + 1])
def test_a_state_of_another_version_is_refused_with_advice(tmp_path: Path, version: int) -> None:
    path = filled(tmp_path / "state.db")
    with sqlite3.connect(path) as db:
        db.execute(f"PRAGMA user_version = {version}")
    db.close()

    why = refusal(path, CONFIG)

    assert "was written by another version; use that one, or" in why
    assert ADVICE in why


def test_a_state_cut_off_at_any_length_is_refused_with_advice(tmp_path: Path) -> None:
    whole = filled(tmp_path / "state.db", 1000).read_bytes()
    path = tmp_path / "cut.db"
    # Below a page nothing tells whose it was, and it is taken for a file of something else.
    for length in range(4096 + 1, len(whole), len(whole) // 50):
        path.write_bytes(whole[:length])

        assert ADVICE in refusal(path, CONFIG)


def test_a_row_out_of_order_is_refused(tmp_path: Path) -> None:
    whole = filled(tmp_path / "state.db", 300).read_bytes()
    path = tmp_path / "damaged.db"
    with State(tmp_path / "state.db") as state:
        ids = [known.id.encode() for known in state.entries()]
    for own in ids[5::50]:
        path.write_bytes(whole.replace(own, b"~" + own[1:]))

        assert ADVICE in refusal(path, CONFIG)


@pytest.mark.parametrize(
    "batch",
    [
        b"{}\n",
        b'["s-1"]\n',
        b"\xff\n",
        b'["s-1","student","not base64","saved",',
        b'["s-1","student","aGFzaA==","saved",200,99999999999999999999,1.0,"users"]\n',
    ],
    ids=str,
)
def test_damaged_outcomes_of_a_killed_run_are_refused_with_advice(
    tmp_path: Path, batch: bytes
) -> None:
    path = tmp_path / "state.db"
    with State(path, CONFIG) as state:
        state.write(lines([entry(state)]) + batch)
        state._db.close()

    assert ADVICE in refusal(path, CONFIG)


@pytest.mark.parametrize("value", ["NULL", "7", "'text'"])
def test_a_batch_that_is_no_longer_one_is_refused_with_advice(tmp_path: Path, value: str) -> None:
    path = filled(tmp_path / "state.db", killed=True)
    with sqlite3.connect(path) as db:
        db.execute(f"UPDATE outcomes SET lines = {value}")  # noqa: S608
    db.close()

    assert ADVICE in refusal(path, CONFIG)


@pytest.mark.parametrize("killed", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_damage_is_refused_or_only_sends_more(
    tmp_path: Path, seed: int, killed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    moments = random.Random(seed)
    monkeypatch.setattr(os, "urandom", moments.randbytes)  # the same ids each time
    whole = filled(tmp_path / "state.db", 300, killed=killed).read_bytes()
    path = tmp_path / "damaged.db"
    opened = 0
    for _ in range(50):
        damaged = bytearray(whole)
        for _ in range(moments.choice([1, 3, 30])):
            damaged[moments.randrange(len(damaged))] = moments.randrange(256)
        path.write_bytes(damaged)
        with suppress(ConfigError), State(path, CONFIG) as state:
            assert 250 <= len(list(state.entries())) <= 300
            assert max(sum(state.count().values()), sum(state.held().values())) <= 300
            keep(state, [entry(state)])
            assert state.lookup(state.id_of("s-1")) is not None
            opened += 1

    assert 0 < opened < 50


# -- a disk that is full or fails


def full(state: State) -> None:
    """Leave no room for another page."""
    pages = state._db.execute("PRAGMA page_count").fetchone()[0]
    state._db.execute(f"PRAGMA max_page_count = {pages}")


def many(state: State) -> Iterable[Entry]:
    return [entry(state, f"more-{n}") for n in range(1000)]


def test_on_a_full_disk_nothing_of_a_batch_is_kept_and_the_rest_stays(tmp_path: Path) -> None:
    with State(tmp_path / "state.db", CONFIG) as state:
        keep(state, [entry(state)])
        full(state)

        with pytest.raises(
            StateError, match=r"could not be written .*full.* run again to continue"
        ):
            keep(state, many(state))

        assert state.count() == {("student", "saved"): 1}
        state._db.execute("PRAGMA max_page_count = 100000")
        keep(state, many(state))
        assert state.count() == {("student", "saved"): 1001}


FAILING = """
import resource, signal, sys
from timeback_async.sync import Entry, Ids, State, StateError
from timeback_async.sync._planning.entry import line

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
with State(sys.argv[1]) as state:
    entries = [
        Entry(state.id_of(f"{n}"), "user", b"hash", "saved", 201, 1, 1.0, "users")
        for n in range(5000)
    ]
    state.write(b"".join(map(line, entries[:10])))
    state.settle()
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limit[1]))
    try:
        state.write(b"".join(map(line, entries)))
    except StateError as error:
        print(error)
    resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    print(state.count())
    state.write(b"".join(map(line, entries)))
    state.settle()
    print(state.count())
"""


def test_a_disk_that_fails_is_told_and_used_again_when_it_is_mended(tmp_path: Path) -> None:
    pytest.importorskip("resource")
    command = [sys.executable, "-c", FAILING, str(tmp_path / "state.db")]

    ended = subprocess.run(command, capture_output=True, text=True, check=True)

    why, before, after = ended.stdout.splitlines()
    assert why.endswith(
        "; free disk space there and for temporary files, then run again to continue"
    )
    assert "could not be written" in why
    assert before == "{('user', 'saved'): 10}"
    assert after == "{('user', 'saved'): 5000}"


def test_a_state_that_may_only_be_read_is_not_written() -> None:
    with State(None) as state:
        state._db.execute("PRAGMA query_only = ON")

        with pytest.raises(StateError, match="could not be written"):
            keep(state, [entry(state)])


def test_forgetting_on_a_full_disk_forgets_nobody(tmp_path: Path) -> None:
    with State(tmp_path / "state.db", CONFIG) as state:
        keep(state, [entry(state)])
        state._db.execute("PRAGMA query_only = ON")

        with pytest.raises(StateError, match="run again to continue"):
            state.forget(["s-1"])

        assert state.count() == {("student", "saved"): 1}


def test_an_error_in_what_is_written_leaves_the_state_usable() -> None:
    def broken(state: State) -> Iterable[Entry]:
        yield entry(state, "s-1")
        raise ValueError("not ours")

    with State(None) as state:
        with pytest.raises(ValueError, match="not ours"):
            keep(state, broken(state))

        assert state.count() == {}
        keep(state, [entry(state)])
        assert state.count() == {("student", "saved"): 1}


# -- before a run


def test_what_is_about_to_change_is_in_doubt_from_the_beginning(tmp_path: Path) -> None:
    with State(None) as state:
        keep(state, [entry(state, "s-1"), entry(state, "s-2"), entry(state, "s-3")])
        own = [state.id_of(each) for each in ("s-1", "s-2", "s-3")]

        state.begin(
            changing=[own[0], state.id_of("nobody")], changed_source=[("student", own[1])], facts={}
        )

        known = {each.id: (each.outcome, each.source, each.is_held) for each in state.entries()}
        assert known == {
            own[0]: ("unknown", "users", True),
            own[1]: ("saved", "student", True),
            own[2]: ("saved", "users", True),
        }


def test_doubt_is_newer_than_the_outcomes_of_a_run_that_did_not_come_to_its_end(
    tmp_path: Path,
) -> None:
    path = tmp_path / "state.db"
    with State(path, CONFIG) as state:
        state.write(lines([entry(state)]))
        state.begin(changing=[state.id_of("s-1")], changed_source=[], facts={})

    with State(path, CONFIG) as state:
        assert state.count() == {("student", "unknown"): 1}


def test_who_is_forgotten_does_not_come_back_with_the_end_of_a_run() -> None:
    with State(None) as state:
        state.write(lines([entry(state)]))

        assert state.forget(["s-1"]) == 1
        state.settle()
        assert state.count() == {}


def test_records_sent_again_from_their_own_file_stay_with_the_file_they_are_from() -> None:
    with State(None) as state:
        keep(state, [entry(state, hash=None, outcome="failed")])
        keep(state, [entry(state, source="records"), entry(state, "s-2", source="records")])

        assert sorted(each.source for each in state.entries()) == ["records", "users"]


# -- made, or not made at all

KILLED = """
import os, sqlite3, sys
from timeback_async.sync import State
from timeback_async.sync._planning import opening as _opening

class Connection(sqlite3.Connection):
    left = int(sys.argv[2])

    def _count(self):
        self.left -= 1
        if self.left < 0:
            os._exit(9)

    def execute(self, *arguments):
        self._count()
        return super().execute(*arguments)

    def executemany(self, *arguments):
        self._count()
        return super().executemany(*arguments)

class Sqlite:
    def __getattr__(self, name):
        return getattr(sqlite3, name)

    def connect(self, *arguments, **options):
        return sqlite3.connect(*arguments, factory=Connection, **options)

_opening.sqlite3 = Sqlite()
for step in range(100):
    Connection.left = step
    process = os.fork()
    if not process:
        State(f"{sys.argv[1]}/{step}.db").close()
        os._exit(0)
    if not os.waitpid(process, 0)[1]:
        break
print(step)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="a system without fork")
def test_a_state_whose_making_is_killed_at_any_step_is_made_by_the_next_run(
    tmp_path: Path,
) -> None:
    command = [sys.executable, "-c", KILLED, str(tmp_path), "0"]

    steps = int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)

    assert steps > 10
    for step in range(steps):
        with State(tmp_path / f"{step}.db", CONFIG) as state:
            keep(state, [entry(state)])
            assert state.count() == {("student", "saved"): 1}


def test_an_empty_file_becomes_a_state_that_only_its_owner_can_read(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    path.touch(0o644)

    filled(path)

    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("outcomes", [("saved", "unknown"), ("unknown", "saved")])
def test_of_several_outcomes_of_one_record_the_last_is_kept(outcomes: tuple[str, str]) -> None:
    with State(None) as state:
        for number, outcome in enumerate(outcomes, 1):
            state.write(lines([entry(state, outcome=outcome, attempts=number)]))
        state.settle()

        (known,) = state.entries()
        assert (known.outcome, known.attempts) == (outcomes[-1], 2)


def test_a_new_state_says_how_it_keeps_ids_and_of_which_version(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    with State(path, CONFIG) as state:
        keep(state, [entry(state)])

    with State(path, ids="hashed") as state:
        assert state.ids == "hashed"
        assert state._db.execute("PRAGMA user_version").fetchone() == (_opening.VERSION,)


@pytest.mark.parametrize("value", [None, "text", 7])
def test_a_state_whose_key_is_damaged_is_refused(tmp_path: Path, value: object) -> None:
    path = filled(tmp_path / "state.db")
    with sqlite3.connect(path) as db:
        db.execute("UPDATE meta SET value = ? WHERE name = 'key'", (value,))
    db.close()

    assert "is damaged, or not a state" in refusal(path, CONFIG)
