"""`--findings`, which has every finding, and `--accept`, after which some are no failure."""

import csv
import json
import stat
import tracemalloc
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import Any

import pytest

from tests.support.amounts import amount
from tests.support.command import family, lines, run, sync, words
from tests.support.rosters import FAMILY, adult, child, csv_text, users
from timeback_async.cli import _findings_file, _private_file
from timeback_async.cli._findings_file import FindingsFile
from timeback_async.errors import ConfigError
from timeback_async.sync import Finding, ReadOptions, read_roster
from timeback_async.testing import Faults, MockServer

BOTH = pytest.mark.parametrize("command", ["sync", "upsert"])


def told(path: str) -> list[str]:
    """Return severity, code and line of each finding of a file of JSON Lines."""
    return [f"{each['severity']} {each['code']} {each['line']}" for each in lines(Path(path))]


# -- every finding


@BOTH
@pytest.mark.parametrize("dry", [(), ("--dry-run",)])
def test_every_finding_is_a_line_what_was_left_out_first(
    server: MockServer, command: str, dry: tuple[str, ...]
) -> None:
    people = (
        child("s-1", enabledUser="y"), child("s-2", grades="99"), child("s-3", familyName=""),
        child("s-4", "u-9"),
    )  # fmt: skip

    done = run(command, family(*people), "--findings", "all.jsonl", *dry)

    assert done.exit_code == 1
    assert told("all.jsonl") == [
        "error value-missing 4",
        "error agent-unknown 5",
        "warning grade-unmapped 3",
        "note value-form 2",
    ]
    assert lines(Path("all.jsonl"))[1] == {
        "severity": "error",
        "accepted": False,
        "code": "agent-unknown",
        "file": "users.csv",
        "line": 5,
        "field": "agentSourcedIds",
        "detail": "u-9",
        "says": "an agent is not in users.csv",
        "advice": "add that parent or guardian there, or remove the id",
    }
    assert "anary" not in Path("all.jsonl").read_text("utf-8")
    assert stat.S_IMODE(Path("all.jsonl").stat().st_mode) == 0o600


@BOTH
def test_findings_as_csv_are_for_a_spreadsheet(server: MockServer, command: str) -> None:
    people = child("s-1", "-u-1"), child("s-2", orgSourcedIds="")

    run(command, family(*people), "--findings", "all.CSV", "--accept", "agent-unknown")

    with Path("all.CSV").open(newline="", encoding="utf-8") as file:
        missing, unknown = csv.DictReader(file)
    assert (unknown["severity"], unknown["accepted"], missing["accepted"]) == ("error", "yes", "")
    assert (unknown["file"], unknown["line"], unknown["detail"]) == ("users.csv", "2", "'-u-1")
    assert "pass --default-org" in missing["advice"]


def test_a_finding_about_a_file_as_a_whole_has_no_line(server: MockServer) -> None:
    path = users(Path(), csv_text([child("s-1")], delimiter=";"))

    sync(path, "--findings", "all.csv", "--default-org", "o", "--dry-run")

    with Path("all.csv").open(newline="", encoding="utf-8") as file:
        assert {(row["code"], row["line"]) for row in csv.DictReader(file)} == {("delimiter", "")}


@BOTH
def test_no_row_is_missing_however_many_are_left_out(server: MockServer, command: str) -> None:
    people = [child(f"s-{n}", familyName="") for n in range(3000)]

    done = run(command, family(*people), "--findings", "all.jsonl", "--dry-run", "--json")

    assert json.loads(done.stdout)["findings"][0]["count"] == 3000
    assert [each["line"] for each in lines(Path("all.jsonl"))] == list(range(2, 3002))


def test_what_is_found_while_planning_is_there_too(server: MockServer) -> None:
    sync(family())

    sync(family(FAMILY[0], FAMILY[2]), "--findings", "all.jsonl", "--dry-run")

    assert told("all.jsonl") == ["note absent 0"]


@pytest.mark.parametrize(
    ("arguments", "code"),
    [(("--strict",), "header-name"), (("--deactivate-absent",), "absent")],
    ids=["while reading", "by the plan"],
)
def test_a_run_that_is_refused_leaves_its_findings(
    server: MockServer, arguments: tuple[str, ...], code: str
) -> None:
    sync(family())

    done = sync(family(child("s-1", userId="1")), "--findings", "all.jsonl", *arguments)

    assert done.exit_code == 2
    assert code in {each["code"] for each in lines(Path("all.jsonl"))}


def test_findings_of_several_files_are_in_one(server: MockServer) -> None:
    one = users(Path(), csv_text([child("s-1", familyName="")]), "one.csv")
    two = users(Path(), csv_text([child("s-2", givenName="")]), "two.csv")

    run("upsert", one, two, "--findings", "all.jsonl")

    assert [each["file"] for each in lines(Path("all.jsonl"))] == ["one.csv", "two.csv"]


def test_they_are_whole_before_the_first_request(
    server: MockServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.faults = Faults(statuses={403: 1.0})
    seen: list[str] = []
    finish = FindingsFile.finish

    def noted(self: FindingsFile) -> None:
        finish(self)
        seen.append(f"{server.requests} {told('all.jsonl')}")

    monkeypatch.setattr(FindingsFile, "finish", noted)

    for command in ("sync", "upsert"):
        run(command, family(child("s-1", enabledUser="y")), "--findings", "all.jsonl")

    assert seen[0] == "0 ['note value-form 2']"
    assert seen[2].endswith(" ['note value-form 2']")


@BOTH
@pytest.mark.parametrize("taken", ["users.csv", "family/users.csv"])
def test_findings_are_not_written_over_the_roster(
    server: MockServer, command: str, taken: str
) -> None:
    users(Path(), (family() / "users.csv").read_text())
    before = Path(taken).read_text()

    done = run(command, "family" if "/" in taken else "users.csv", "--findings", taken)

    assert done.exit_code == 2
    assert "--findings must not be" in words(done.output)
    assert Path(taken).read_text() == before


def test_a_run_whose_findings_are_in_the_folder_of_the_roster_can_be_repeated(
    server: MockServer,
) -> None:
    family(child("s-1", enabledUser="y"))

    codes = [sync("family", "--findings", "family/findings.csv").exit_code for _ in range(2)]

    assert codes == [0, 0]


@BOTH
@pytest.mark.parametrize(
    ("path", "said"),
    [("all.txt", "all.txt: must end in .csv or .jsonl"), ("no/such.csv", "No such file")],
)
def test_a_file_that_cannot_be_written_is_exit_code_2_before_anything_is_read(
    server: MockServer, command: str, path: str, said: str
) -> None:
    done = run(command, "gone.zip", "--findings", path)

    assert done.exit_code == 2
    assert said in done.stderr


class _Full:
    """A disk that has room for so many bytes."""

    def __init__(self, file: Any, room: int) -> None:
        self._file, self._room = file, room

    def write(self, block: bytes) -> int:
        if not self._room:
            raise OSError(28, "No space left on device")
        taken = block[: self._room]
        self._room -= len(taken)
        return int(self._file.write(taken))

    def truncate(self, size: int) -> None:
        self._file.truncate(size)


@BOTH
def test_on_a_full_disk_no_half_line_is_left_and_the_run_goes_on(
    server: MockServer, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    init = _private_file.PrivateFile.__init__

    def small(self: Any, path: Path, file: Any, loss: str) -> None:
        init(self, path, _Full(file, 500), loss)  # type: ignore[arg-type]

    monkeypatch.setattr(_private_file.PrivateFile, "__init__", small)
    monkeypatch.setattr(_findings_file, "LINES_AT_ONCE", 2)
    people = [child(f"s-{n}", grades="99", familyName="" if n < 3 else "B") for n in range(9)]

    done = run(command, family(*people), "--findings", "all.jsonl", "--accept", "value-missing")

    assert done.exit_code == 1
    assert done.stderr.count("all.jsonl: No space left on device; the file does not hold") == 1
    assert told("all.jsonl") == ["error value-missing 2", "error value-missing 3"]
    assert len(server.students) == 6


def test_what_waited_is_cut_off_at_the_end_of_a_line_too(
    server: MockServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    init = _private_file.PrivateFile.__init__

    def small(self: Any, path: Path, file: Any, loss: str) -> None:
        init(self, path, _Full(file, 2000), loss)  # type: ignore[arg-type]

    monkeypatch.setattr(_private_file.PrivateFile, "__init__", small)
    monkeypatch.setattr(_findings_file, "MOST_IN_MEMORY", 100)

    sync(family(*(child(f"s-{n}", enabledUser="y") for n in range(50))), "--findings", "a.jsonl")

    assert 0 < len(told("a.jsonl")) < 50


def test_a_device_without_an_end_is_full_too(server: MockServer) -> None:
    Path("full.csv").symlink_to("/dev/full")

    done = sync(family(), "--findings", "full.csv", "--dry-run")

    assert done.exit_code == 1
    assert "No space left on device" in done.stderr


@BOTH
def test_failures_that_are_not_whole_are_no_success(server: MockServer, command: str) -> None:
    Path("full.jsonl").symlink_to("/dev/full")
    people = child("s-1"), child("s-2", familyName="")

    done = run(command, family(*people), "--accept", "value-missing", "--failures", "full.jsonl")

    assert done.exit_code == 1
    assert "the file does not hold every failure" in done.stderr
    assert list(server.students) == ["s-1"]


@BOTH
def test_a_run_that_sends_nothing_leaves_no_failures_of_an_earlier_one(
    server: MockServer, command: str
) -> None:
    Path("f.jsonl").write_text('{"student": {"sourcedId": "old"}}\n')
    people = child("s-1"), child("s-2", familyName="")

    run(command, family(*people), "--dry-run", "--failures", "f.jsonl")

    (failure,) = lines(Path("f.jsonl"))
    assert failure["_failure"]["line"] == 3


def test_a_file_that_cannot_be_made_private_is_refused_as_it_was(
    server: MockServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    Path("of-another.jsonl").write_text("old")
    monkeypatch.setattr(Path, "chmod", refuse)

    done = sync(family(), "--findings", "of-another.jsonl")

    assert done.exit_code == 2
    assert "of-another.jsonl: Operation not permitted; it belongs to another" in done.stderr
    assert Path("of-another.jsonl").read_text() == "old"
    assert not server.students


def test_a_file_that_is_not_read_may_be_unreadable(
    server: MockServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = family(*FAMILY)
    (folder / "private.csv").write_text("Canary")
    open_ = Path.open

    def refuse(path: Path, *args: Any, **more: Any) -> Any:
        if path.name == "private.csv":
            raise PermissionError(13, "Permission denied")
        return open_(path, *args, **more)

    monkeypatch.setattr(Path, "open", refuse)

    assert sync(folder, "--findings", "all.jsonl").exit_code == 0
    refused = sync(folder, "--findings", str(folder / "private.csv"))
    assert "must not be part of" in refused.stderr


@pytest.mark.parametrize("of", ["write", "seek"])
def test_a_full_disk_for_what_waits_is_said(
    server: MockServer, monkeypatch: pytest.MonkeyPatch, of: str
) -> None:
    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    class Nowhere(SpooledTemporaryFile[bytes]):
        """Writes nothing. What waits in a buffer comes to the disk later: by seek, or by close."""

        def close(self) -> None:
            super().close()
            full()

    setattr(Nowhere, of, full)
    monkeypatch.setattr(_findings_file, "SpooledTemporaryFile", Nowhere)
    people = [child(f"s-{n}", enabledUser="y") for n in range(3)]

    done = sync(family(*people), "--findings", "all.jsonl")

    assert done.exit_code == 1
    assert done.stderr.count("No space left on device") == 1


def test_what_comes_after_the_file_is_closed_is_dropped() -> None:
    with FindingsFile.opened(Path("all.jsonl")) as findings:
        assert findings is not None
    for line in range(_findings_file.LINES_AT_ONCE):
        findings.add(Finding("row-width", "error", "users.csv", line))

    assert Path("all.jsonl").read_bytes() == b""


# -- accepted ones


@BOTH
@pytest.mark.parametrize("dry", [(), ("--dry-run",)])
def test_what_is_known_and_accepted_does_not_make_the_exit_code_1(
    server: MockServer, command: str, dry: tuple[str, ...]
) -> None:
    path = family(child("s-1", familyName=""), child("s-2", "t-1"), adult("t-1", "teacher"))

    codes = [
        run(command, path, *dry, *accept).exit_code
        for accept in (
            (),
            ("--accept", "agent-role"),
            ("--accept", "agent-role,value-missing"),
            ("--accept", "agent-role", "--accept", "value-missing"),
        )
    ]

    assert codes == [1, 1, 0, 0]


@BOTH
def test_what_is_accepted_is_still_shown_and_marked(server: MockServer, command: str) -> None:
    path, accept = family(child("s-1", familyName="")), ("--accept", "value-missing")

    shown = run(command, path, *accept)
    report = json.loads(run(command, path, *accept, "--json").stdout)

    assert (report["ok"], report["exit"]) == (True, 0)
    assert [each["accepted"] for each in report["findings"]] == [True]
    assert "accepted: once users.csv: familyName: a required value is blank" in words(shown.stdout)
    assert "[value-missing]" in shown.stdout


@BOTH
def test_what_the_server_refuses_is_exit_code_1_whatever_is_accepted(
    server: MockServer, command: str
) -> None:
    server.faults = Faults(statuses={422: 1.0})
    path = family(child("s-1"), child("s-2", familyName=""))

    done = run(command, path, "--accept", "value-missing")

    assert done.exit_code == 1


@BOTH
def test_a_code_that_is_none_is_refused_with_those_that_are_like_it(
    server: MockServer, command: str
) -> None:
    close = run(command, family(), "--accept", "agent-rolle")
    far = run(command, "family", "--accept", "x")

    assert (close.exit_code, far.exit_code) == (2, 2)
    assert "--accept: 'agent-rolle' is not the code of a finding; is it agent-role" in close.stderr
    assert "--accept: 'x' is not the code of a finding; each finding shows its code" in far.stderr


# -- on screen


@BOTH
def test_errors_come_first_and_notes_are_only_counted(server: MockServer, command: str) -> None:
    people = (
        child("s-1", enabledUser="y"), child("s-2", grades="99"), child("s-3", familyName=""),
        child("s-4", enabledUser="n", userId="1"),
    )  # fmt: skip

    shown = words(run(command, family(*people), "--dry-run").stdout)

    told = shown.partition("Findings in the files")[2]
    assert told.index("error: once users.csv: familyName") < told.index("warning: once users.csv")
    assert "(header-name 1, header-order 1, value-form 2). --findings OUT.csv lists them." in told
    assert "notes: 4 of what was understood all the same" in told
    assert "enabledUser" not in told


# -- from Python


def test_a_library_takes_each_finding_as_it_comes_and_says_the_same_as_the_command(
    tmp_path: Path,
) -> None:
    found: list[Finding] = []
    path = family(child("s-1", familyName=""), child("s-2", grades="99"))

    with read_roster(path, ReadOptions(accept=["value-missing"]), on_finding=found.append) as read:
        counts = (read.findings.errors, read.findings.unaccepted, read.findings.severities)

    assert [(each.code, each.line, each.is_accepted) for each in found] == [
        ("value-missing", 2, True),
        ("grade-unmapped", 3, False),
    ]
    assert counts == (1, 0, {"error": 1, "warning": 1, "note": 0})


def test_a_finding_has_to_be_of_a_known_code_to_be_accepted() -> None:
    with pytest.raises(ConfigError, match=r"accept: 'agent-knwon' .* is it agent-unknown"):
        read_roster("gone", ReadOptions(accept=["agent-knwon"]))


def test_memory_does_not_follow_the_number_of_findings(tmp_path: Path) -> None:
    def peak(number: int) -> int:
        path = users(
            tmp_path / str(number),
            csv_text([child(f"s-{n}", familyName="") for n in range(number)]),
        )
        with FindingsFile.opened(tmp_path / "all.jsonl") as findings:
            assert findings is not None
            tracemalloc.start()
            read_roster(path, on_finding=findings.add).close()
            _, most = tracemalloc.get_traced_memory()
            tracemalloc.stop()
        return most

    assert peak(amount(18_000, long=36_000)) < peak(13_000) * 1.2


def test_options_of_accepting_change_no_record(tmp_path: Path) -> None:
    path = family(child("s-1"))

    plain, accepting = read_roster(path), read_roster(path, ReadOptions(accept=["absent"]))

    assert plain.fingerprint == accepting.fingerprint
    plain.close()
    accepting.close()
