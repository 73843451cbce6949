"""`upsert`: any file that `sync` reads, without a state; and failures that both read back."""

import json
import os
import signal
import time
from base64 import b64decode
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec.json import Decoder

from tests.support.command import REFUSING, family, interrupt, lines, run, when, words
from tests.support.records import wire_student, wire_user
from tests.support.rosters import adult, child, csv_text, school, zipped
from timeback_async import Student, TimebackSession, User
from timeback_async._wire import validate
from timeback_async.cli import _reading
from timeback_async.cli._run import Run
from timeback_async.errors import ConfigError
from timeback_async.sync import LeftOut
from timeback_async.sync._planning import plan
from timeback_async.sync._reading import json_lines
from timeback_async.testing import Faults, MockServer
from timeback_async.testing._answers import Refusal
from timeback_async.testing._api import RosteringApi

BROKEN = ["not json", "[1,2]", '{"student": {"sourcedId": "s-9"}}', "{}"]


def write(path: str, *texts: str) -> Path:
    Path(path).write_text("\n".join(texts), "utf-8")
    return Path(path)


def born(*ids: str) -> list[dict[str, str]]:
    """Return the rows of demographics.csv."""
    return [{"sourcedId": each, "birthDate": "2012-02-29"} for each in ids]


def figures(*arguments: object, **environ: str) -> dict[str, Any]:
    report: dict[str, Any] = json.loads(run("upsert", *arguments, "--json", **environ).stdout)
    return report


# -- what it reads


def test_a_zip_of_a_package_is_sent_whole(server: MockServer) -> None:
    people = child("s-1", "u-1"), adult("u-1")

    report = figures(zipped(Path("export.zip"), school(*people)))

    assert (report["exit"], report["planned"], report["saved"]) == (0, 3, 3)
    assert (len(server.students), len(server.users), len(server.agents)) == (1, 1, 1)


def test_a_parquet_file_is_sent(server: MockServer) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    rows = [child("s-1"), adult("u-1")]
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    parquet.write_table(pyarrow.table(columns), "users.parquet")

    assert figures("users.parquet")["saved"] == 2


def test_people_of_one_file_go_before_links_of_another(server: MockServer) -> None:
    link = {"agent": {"studentId": "s-1", "userId": "u-1", "relationshipType": "parent"}}
    links = write("links.jsonl", json.dumps(link))
    people = write("users.csv", csv_text([child("s-1"), adult("u-1")]))

    report = figures(links, people)

    assert (report["exit"], report["saved"]) == (0, 3)


def test_findings_are_printed_as_by_sync(server: MockServer) -> None:
    people = family(child("s-1", enabledUser="y"), child("s-2", givenName=""))

    by_upsert, by_sync = run("upsert", people), run("sync", people)

    texts = [words(done.stdout) for done in (by_upsert, by_sync)]
    said = "users.csv: givenName: a required value is blank; first: users.csv:3"
    assert (by_upsert.exit_code, by_sync.exit_code) == (1, 1)
    assert all(said in text.partition("Findings in the files")[2] for text in texts)


def test_what_is_wrong_with_a_file_as_a_whole_is_exit_code_1(server: MockServer) -> None:
    rows = [{name: value for name, value in child("s-1").items() if name != "familyName"}]

    report = figures(write("users.csv", csv_text(rows)))

    assert (report["exit"], report["ok"], report["saved"]) == (1, False, 0)
    assert "column-missing" in {finding["code"] for finding in report["findings"]}


def test_a_column_that_is_missing_is_exit_code_1_though_there_are_no_rows(
    server: MockServer,
) -> None:
    empty = write("users.csv", "sourcedId,role,givenName")

    codes = [run(command, empty).exit_code for command in ("upsert", "sync")]

    assert codes == [1, 1]


def test_the_org_given_is_everybodys(server: MockServer) -> None:
    people = child("s-1", orgSourcedIds="a,b"), adult("u-1", orgSourcedIds="")

    report = figures(write("users.csv", csv_text(people)), "--primary-org", "org-1")

    assert report["saved"] == 2
    assert server.students["s-1"]["primaryOrg"]["sourcedId"] == "org-1"
    assert [role["org"]["sourcedId"] for role in server.users["u-1"]["roles"]] == ["org-1"]


@pytest.mark.parametrize("other", [("--org-map", "a.toml"), ("--default-org", "org-2")])
def test_the_org_of_everybody_leaves_nothing_for_the_other_options(
    server: MockServer, other: tuple[str, str]
) -> None:
    done = run("upsert", "users.csv", "--primary-org", "org-1", *other)

    assert done.exit_code == 2
    assert "--primary-org leaves nothing for" in words(done.output)


def test_an_option_is_named_in_an_error_as_the_command_has_it(server: MockServer) -> None:
    done = run("upsert", write("users.csv", csv_text([child()])), "--encoding", "nonsense")

    assert done.exit_code == 2
    assert "error: --encoding: 'nonsense' is not" in done.stderr
    assert server.requests == 0


# -- what the files leave open


def test_what_a_delta_leaves_open_is_looked_up(server: MockServer) -> None:
    run("upsert", family(child("s-1"), demographics=born("s-1")))
    delta = family(child("s-1", grades="07"), mode="delta", name="delta")

    report = figures(delta)

    assert (report["exit"], report["saved"]) == (0, 1)
    assert server.students["s-1"]["grades"] == ["7"]
    assert server.students["s-1"]["demographics"] == {"birthDate": "2012-02-29"}


def test_a_dry_run_looks_nothing_up_and_needs_no_credentials(server: MockServer) -> None:
    roleless = {name: value for name, value in child("s-1").items() if name != "role"}
    delta = family(roleless, version="1.2", mode="delta")

    report = figures(delta, "--dry-run", TIMEBACK_CLIENT_ID="", TIMEBACK_CLIENT_SECRET="")

    assert (report["exit"], report["planned"], report["valid"]) == (0, 1, 1)
    assert server.requests == server.token_requests == 0


def test_a_delta_that_was_interrupted_is_completed_when_its_failures_are_sent(
    server: MockServer,
) -> None:
    ids = [f"s-{n}" for n in range(150)]
    run("upsert", family(*map(child, ids), demographics=born(*ids)))
    delta = family(*(child(each, grades="07") for each in ids), mode="delta", name="delta")
    server.faults = Faults(latency=0.05)
    before = server.requests
    when(lambda: server.requests > before + 50, interrupt)

    done = run("upsert", delta, "--failures", "failures.jsonl", "--max-in-flight", 8)
    server.faults = Faults()
    again = figures("failures.jsonl")

    kept = lines(Path("failures.jsonl"))
    assert done.exit_code == 75
    assert {each["_failure"]["file"] for each in kept} == {"users.csv"}
    assert all(
        "demographics" in each["student"] or each["_failure"]["gaps"]["birth"] for each in kept
    )
    assert again["planned"] == len(kept)
    assert all(each["demographics"] for each in server.students.values())


# -- failures


@pytest.mark.parametrize("commands", [("upsert",) * 4, ("sync",) * 4, ("upsert", "sync") * 2])
def test_failures_are_read_back_any_number_of_times(
    server: MockServer, commands: tuple[str, ...]
) -> None:
    link = {"agent": {"studentId": "s-1", "userId": "nobody", "relationshipType": "parent"}}
    sent = [json.dumps(each) for each in ({"student": wire_student()}, {"user": wire_user()}, link)]
    server.faults = REFUSING
    file = write("records.jsonl", *BROKEN, *sent)
    kept: list[Any] = []

    for number, command in enumerate(commands):
        Path("timeback-state.db").unlink(missing_ok=True)
        failures = Path(f"{number}.jsonl")
        assert run(command, file, "--failures", failures).exit_code == 1
        found = [(each["_failure"].pop("request_id"), each)[1] for each in lines(failures)]
        kept.append(sorted(found, key=lambda each: each["_failure"]["line"]))
        file = failures

    places = [(each["_failure"]["file"], each["_failure"]["line"]) for each in kept[0]]
    assert places == [("records.jsonl", line) for line in range(1, 8)]
    assert [each["_failure"].get("text") for each in kept[0]][:2] == BROKEN[:2]
    assert kept[0][2]["student"] == {"sourcedId": "s-9"}
    assert kept[1:] == kept[:1] * 3


@pytest.mark.parametrize("commands", [("upsert",) * 3, ("sync",) * 3, ("sync", "upsert", "sync")])
def test_rows_of_which_no_record_can_be_made_are_kept_with_their_reason(
    server: MockServer, commands: tuple[str, ...]
) -> None:
    path: Path = family(child("s-1"), child("s-2", familyName=""), child("s-3", "gone"))
    kept = []

    for number, command in enumerate(commands):
        done = run(command, path, "--failures", f"{number}.jsonl")
        assert done.exit_code == 1, done.output
        path = Path(f"{number}.jsonl")
        kept.append([each["_failure"] for each in lines(path)])

    facts = [(each["file"], each["line"], each["field"], each["reason"]) for each in kept[0]]
    assert facts == [
        ("users.csv", 3, "familyName", "a required value is blank"),
        ("users.csv", 4, "agentSourcedIds", "an agent is not in users.csv (gone)"),
    ]
    assert kept[1] == kept[2] == kept[0]


def test_failures_beside_the_file_they_come_from_are_sent_twice_and_no_harm(
    server: MockServer,
) -> None:
    people = family(child("s-1"), child("s-2"))
    server.faults = REFUSING
    run("upsert", people, "--failures", "failures.jsonl")
    server.faults = Faults()

    report = figures(people, "failures.jsonl")

    assert (report["exit"], report["planned"], report["saved"]) == (0, 4, 4)


@pytest.mark.parametrize("command", ["upsert", "sync"])
def test_different_records_with_one_id_are_kept_whole(server: MockServer, command: str) -> None:
    people = [{"user": wire_user("u-1", givenName=name)} for name in ("Ada", "Eda")]
    file = write("records.jsonl", *map(json.dumps, people))

    codes = [run(command, file, "--failures", "a.jsonl").exit_code]
    codes += [run(command, "a.jsonl", "--failures", "b.jsonl").exit_code]

    assert codes == [1, 1]
    assert lines(Path("a.jsonl")) == lines(Path("b.jsonl"))
    assert [each["user"]["givenName"] for each in lines(Path("b.jsonl"))] == ["Ada", "Eda"]
    assert server.users == {}


def test_the_same_record_twice_is_no_failure(server: MockServer) -> None:
    line = json.dumps({"user": wire_user("u-1")})

    done = run("upsert", write("records.jsonl", line, line), "--failures", "a.jsonl")

    assert (done.exit_code, lines(Path("a.jsonl"))) == (0, [])


@pytest.mark.parametrize("command", ["upsert", "sync"])
def test_a_line_that_is_not_utf_8_is_kept_byte_for_byte_and_never_sent(
    server: MockServer, command: str
) -> None:
    line = json.dumps({"user": wire_user(givenName="José")}, ensure_ascii=False).encode("latin-1")
    Path("records.jsonl").write_bytes(line)

    codes = [run(command, "records.jsonl", "--failures", "a.jsonl").exit_code]
    codes += [run(command, "a.jsonl", "--failures", "b.jsonl").exit_code]

    (kept,) = lines(Path("b.jsonl"))
    assert codes == [1, 1]
    assert b64decode(kept["_failure"]["base64"]) == line
    assert lines(Path("a.jsonl")) == [kept]
    assert server.users == {}


def test_failures_with_one_first_place_are_all_kept(server: MockServer) -> None:
    for name in ("a", "b"):
        Path(name).mkdir()
        write(f"{name}/records.jsonl", f"not json {name}")

    run("upsert", "a/records.jsonl", "b/records.jsonl", "--failures", "1.jsonl")
    report = figures("1.jsonl", "--failures", "2.jsonl")

    assert (report["planned"], report["invalid"], report["read"]["left_out"]) == (0, 0, 2)
    assert lines(Path("1.jsonl")) == lines(Path("2.jsonl"))


def test_a_look_up_that_ends_the_run_leaves_every_record_in_the_failures(
    server: MockServer,
) -> None:
    server.faults = Faults(statuses={403: 1.0})
    delta = family(child("s-1", "u-1"), child("s-2", "u-1"), adult("u-1"), mode="delta")

    report = figures(delta, "--failures", "failures.jsonl")
    server.faults = Faults()
    again = figures("failures.jsonl")

    assert report["error"].startswith("HTTP 403")
    assert (report["saved"], report["planned"], report["not_reached"]) == (0, 5, 5)
    assert (again["exit"], again["saved"]) == (0, 5)


def test_a_later_file_has_the_last_word(server: MockServer) -> None:
    monday = write("monday.jsonl", json.dumps({"user": wire_user(status="tobedeleted")}))
    tuesday = write("tuesday.jsonl", json.dumps({"user": wire_user()}))

    assert figures(monday, tuesday)["saved"] == 2
    assert server.users["u-1"]["status"] == "active"


def test_a_person_whom_somebody_makes_meanwhile_keeps_what_a_delta_does_not_say(
    server: MockServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise Refusal(422, "not now")

    delta = family(adult("u-1"), mode="delta")
    with monkeypatch.context() as patched:
        patched.setattr(RosteringApi, "_put_user", refuse)
        run("upsert", delta, "--failures", "failures.jsonl")
    server.users["u-1"] = wire_user("u-1", demographics={"birthDate": "1980-01-31"})

    assert figures("failures.jsonl")["saved"] == 1
    assert server.users["u-1"]["demographics"] == {"birthDate": "1980-01-31"}


def test_what_is_wrong_in_a_file_of_failures_cannot_move_the_cursor(server: MockServer) -> None:
    hostile = {"file": "a.csv", "line": 2, "field": "\x1b[2Jf", "reason": "\x1b]0;x\x07" * 9999}
    too_far = {"file": "b.csv", "line": 2**63, "reason": "x"}
    failures = (json.dumps({"_failure": each}) for each in (hostile, too_far))

    done = run("upsert", write("failures.jsonl", *failures))

    assert done.exit_code == 1
    assert "\x1b" not in done.stdout
    assert len(done.stdout) < 10_000
    assert "b.csv" not in done.stdout


def test_links_that_contradict_each_other_are_reported(server: MockServer) -> None:
    link = {"studentId": "s-1", "userId": "u-1", "relationshipType": "parent"}
    people = [{"student": wire_student()}, {"user": wire_user()}]
    links = [{"agent": link}, {"agent": link}, {"agent": link | {"relationshipType": "guardian"}}]

    report = figures(write("records.jsonl", *map(json.dumps, [*people, *links])))

    found = {finding["code"]: finding["count"] for finding in report["findings"]}
    assert found == {"duplicate-same": 1, "link-repeated": 1}
    (agent,) = server.agents.values()
    assert agent["relationshipType"] == "guardian"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_upsert_interrupted_while_it_reads_is_exit_code_75(
    server: MockServer, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    def read(*_: object, **__: object) -> None:
        os.kill(os.getpid(), number)
        time.sleep(0.2)
        raise ConfigError("too late")

    monkeypatch.setattr(_reading, "read_roster", read)

    done = run("upsert", "users.csv", "--failures", "f.jsonl")

    assert done.exit_code == 75, (done.output, done.exception)
    assert server.requests == 0
    assert words(done.stderr) == "Stopping."
    assert words(done.stdout) == (
        "Interrupted before anything was sent: run the same command again."
    )


def test_reading_ends_soon_after_a_signal(
    server: MockServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    write("many.jsonl", *[json.dumps({"student": wire_student("s-1")})] * 20_000)
    read: list[bytes] = []
    line = json_lines._Line.read

    def noted(self: Any, text: bytes) -> None:
        if not read:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(0.2)
        read.append(text)
        line(self, text)

    monkeypatch.setattr(json_lines._Line, "read", noted)

    done = run("upsert", "many.jsonl")

    assert done.exit_code == 75
    assert len(read) < 20_000


async def test_a_run_that_is_stopped_before_it_begins_sends_nothing(
    timeback_server: MockServer, timeback_session: TimebackSession
) -> None:
    run: Run[str] = Run(timeback_session)

    run.stop()
    report = await run(((place, {}) for place in "abc"), total=3)

    assert (run.interrupted, report.submitted) == (True, 0)
    assert [place for place, _ in run.unread("abc", report)] == ["a", "b", "c"]
    assert timeback_server.requests == 0


def test_a_left_out_row_does_not_show_its_line() -> None:
    assert repr(LeftOut("a.jsonl", 1, "grades", "is required", b"Canary")) == (
        "<LeftOut a.jsonl:1: grades: is required>"
    )


# -- the way of a row


@pytest.mark.parametrize("command", ["sync", "upsert"])
def test_a_row_is_encoded_once_and_decoded_once_at_most(
    server: MockServer, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    counted = Counter[str]()

    def counting(what: str, function: Callable[[Any], Any]) -> Callable[[Any], Any]:
        def count(value: Any) -> Any:
            counted[what] += what == "decode" or isinstance(value, msgspec.Struct)
            return function(value)

        return count

    decoders = {kind: counting("decode", Decoder(kind).decode) for kind in (Student, User)}
    monkeypatch.setattr(validate, "_encode", counting("encode", validate._encode))
    monkeypatch.setattr(validate, "_decode", decoders)
    monkeypatch.setattr(plan, "_decode", {"student": decoders[Student], "user": decoders[User]})

    done = run(command, family(*(child(f"s-{n}") for n in range(200))))

    assert done.exit_code == 0
    assert len(server.students) == 200
    assert counted == {"encode": 200, "decode": 200}
