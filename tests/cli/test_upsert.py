"""`upsert`: any file that `sync` reads, without a state; and failures that both read back."""

import json
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
from timeback_async import Student, User
from timeback_async._wire import validate
from timeback_async.sync._planning import plan
from timeback_async.testing import Faults, MockServer

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

    assert (report["exit"], report["submitted"], report["saved"]) == (0, 3, 3)
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

    assert (report["exit"], report["submitted"], report["not_sent"]) == (0, 1, 1)
    assert server.requests == server.token_requests == 0


def test_of_a_delta_that_was_interrupted_no_half_of_a_person_is_kept(server: MockServer) -> None:
    ids = [f"s-{n}" for n in range(300)]
    run("upsert", family(*map(child, ids), demographics=born(*ids)))
    delta = family(*(child(each, grades="07") for each in ids), mode="delta", name="delta")
    server.faults = Faults(latency=0.05)
    before = server.requests
    when(lambda: server.requests > before + 100, interrupt)

    done = run("upsert", delta, "--failures", "failures.jsonl", "--max-in-flight", 8)
    server.faults = Faults()
    again = figures("failures.jsonl")

    kept = lines(Path("failures.jsonl"))
    assert done.exit_code == 75
    assert {each["_failure"]["file"] for each in kept} == {"users.csv"}
    assert all("demographics" in each.get("student", {"demographics": ""}) for each in kept)
    assert again["submitted"] == len(kept)
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

    assert (report["exit"], report["submitted"], report["saved"]) == (0, 4, 4)


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

    done = run(command, family(*(child(f"s-{n}") for n in range(1000))))

    assert done.exit_code == 0
    assert len(server.students) == 1000
    assert counted == {"encode": 1000, "decode": 1000}
