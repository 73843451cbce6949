"""`unlink`: links are deleted, by their people or from a file, and people stay."""

import json
import time
from pathlib import Path
from typing import Any

import pytest

from tests.support.command import interrupt, lines, run, when, words
from tests.support.records import wire_agent, wire_student, wire_user
from timeback_async.cli import _unlink_run
from timeback_async.cli._settings import config_from_env
from timeback_async.models.ids import agent_id_of
from timeback_async.testing import Faults, MockServer


@pytest.fixture
def school(server: MockServer) -> MockServer:
    server.students.update({own: wire_student(own) for own in ("s-1", "s-2")})
    server.users.update({own: wire_user(own) for own in ("u-1", "u-2")})
    for student in ("s-1", "s-2"):
        for user in ("u-1", "u-2"):
            server.agents[student, agent_id_of(student, user)] = wire_agent(user)
    return server


def held(server: MockServer) -> list[tuple[str, str]]:
    return sorted((key[0], each["user"]["sourcedId"]) for key, each in server.agents.items())


def write(*records: dict[str, Any], name: str = "links.jsonl") -> Path:
    path = Path(name)
    path.write_text("".join(json.dumps(each) + "\n" for each in records))
    return path


def link(student: str, user: str, **more: str) -> dict[str, Any]:
    ids = {"studentId": student, "userId": user, "relationshipType": "parent"}
    return {"agent": ids | more}


ALL = [("s-1", "u-1"), ("s-1", "u-2"), ("s-2", "u-1"), ("s-2", "u-2")]


def test_the_links_of_two_people_are_deleted_whatever_their_ids(school: MockServer) -> None:
    school.agents["s-1", "another"] = wire_agent("u-1")

    done = run("unlink", "s-1", "u-1")

    assert done.exit_code == 0
    assert done.stdout == "2 links: 2 deleted\n"
    assert held(school) == ALL[1:]
    assert len(school.students) == len(school.users) == 2


def test_a_link_whose_id_is_not_shown_is_that_of_the_derived_one(
    school: MockServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = [wire_agent("u-1")]
    monkeypatch.setattr(school.stores, "agents_of", lambda student: shown)

    assert run("unlink", "s-1", "u-1").exit_code == 0
    assert held(school) == ALL[1:]


def test_a_dry_run_looks_the_links_up_and_deletes_none(school: MockServer) -> None:
    done = run("unlink", "s-1", "u-1", "--dry-run")

    assert done.exit_code == 0
    assert "1 link: 1 would be deleted" in done.stdout
    assert "nothing was deleted" in done.stdout
    assert held(school) == ALL


def test_two_people_who_are_not_linked_are_exit_code_1(school: MockServer) -> None:
    done = run("unlink", "s-1", "u-9")
    nobody = run("unlink", "s-9", "u-1", "--json")

    assert (done.exit_code, nobody.exit_code) == (1, 1)
    assert "there is none" in done.stdout
    assert "HTTP 404" in json.loads(nobody.stdout)["error"]


def test_the_links_in_a_file_are_deleted_and_its_people_stay(school: MockServer) -> None:
    path = write(
        {"student": wire_student("s-1")}, link("s-1", "u-1"), {"user": wire_user("u-1")},
        link("s-2", "u-2", agentId=agent_id_of("s-2", "u-2")),
    )  # fmt: skip

    done = run("unlink", path)

    assert done.exit_code == 0
    assert done.stdout == "2 links: 2 deleted\n"
    assert held(school) == ALL[1:3]
    assert len(school.students) == len(school.users) == 2


def test_the_links_of_an_export_are_deleted(school: MockServer) -> None:
    run("export", "--out", "out.jsonl")

    assert run("unlink", "out.jsonl").exit_code == 0
    assert held(school) == []


def test_a_link_that_is_gone_counts_as_deleted(school: MockServer) -> None:
    path = write(link("s-1", "u-1"), link("s-1", "u-9"))

    done = run("unlink", path, "--json")

    told = json.loads(done.stdout)
    assert done.exit_code == told["exit"] == 0
    assert (told["links"], told["deleted"], told["failed"], told["requests"]) == (2, 2, 0, 2)


@pytest.mark.parametrize(
    ("shown", "is_gone"),
    [
        ([], True),
        ([wire_agent("u-9", agentId="another")], True),
        ([wire_agent("u-1", agentId=agent_id_of("s-1", "u-1"))], False),
        ([wire_agent("u-1")], False),
        ([wire_agent("u-1", agentId="")], False),
        ([wire_agent("u-1", agentId=7)], False),
    ],
    ids=["none", "others", "it", "no id", "a blank id", "a number"],
)
def test_a_link_that_is_not_found_is_gone_only_if_timeback_does_not_list_it(
    school: MockServer, monkeypatch: pytest.MonkeyPatch, shown: list[Any], is_gone: bool
) -> None:
    school.fail(404, method="DELETE")
    monkeypatch.setattr(school.stores, "agents_of", lambda student: shown)

    done = run("unlink", write(link("s-1", "u-1")), "--failures", "f.jsonl")

    assert done.exit_code == (0 if is_gone else 1)
    assert ("1 deleted" in done.stdout) == is_gone
    assert len(lines(Path("f.jsonl"))) == (not is_gone)


def test_a_link_of_which_nobody_may_ask_is_not_gone(school: MockServer) -> None:
    school.fail(404, method="DELETE")
    school.fail(403, method="GET")

    done = run("unlink", write(link("s-1", "u-1"), link("o'neill", "u-1")))

    assert done.exit_code == 1
    assert "2 failed" in done.stdout


def test_nobody_is_gone_whom_no_filter_can_name(school: MockServer) -> None:
    done = run("unlink", write(link("o'neill", "u-1")))

    assert done.exit_code == 1
    assert "1 failed" in done.stdout


def test_nothing_is_gone_from_a_server_that_is_another_one(school: MockServer) -> None:
    path = write(link("s-1", "u-1"), link("s-2", "u-2"))
    token = f"{school.base_url}/auth/1.0/token"

    done = run(
        "unlink", path, TIMEBACK_TOKEN_URL=token, TIMEBACK_BASE_URL=f"{school.base_url}/wrong"
    )

    assert done.exit_code == 1
    assert "2 failed" in done.stdout
    assert held(school) == ALL


def test_a_link_of_a_student_who_is_gone_is_gone(school: MockServer) -> None:
    del school.students["s-1"]

    assert run("unlink", write(link("s-1", "u-9"))).exit_code == 0


def test_a_link_whose_id_is_a_number_is_named_and_no_other_is_deleted(
    school: MockServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(school.stores, "agents_of", lambda _: [wire_agent("u-1", agentId=7)])

    done = run("unlink", "s-1", "u-1")

    assert done.exit_code == 1
    assert "agentId: has another type" in words(done.stdout)
    assert held(school) == ALL


def test_a_dry_run_of_a_file_needs_no_credentials(school: MockServer) -> None:
    path = write(link("s-1", "u-1"), {"agent": 5})

    done = run("unlink", path, "--dry-run", TIMEBACK_CLIENT_ID="", TIMEBACK_CLIENT_SECRET="")

    assert done.exit_code == 1
    assert "1 would be deleted" in done.stdout
    assert "links.jsonl:2" in done.stdout
    assert school.requests == 0


@pytest.mark.parametrize(
    "line",
    [
        "not json",
        "[1]",
        '{"agent": {"studentId": "s-1"}}',
        '{"agent": {"studentId": "s-1", "agentId": 5}}',
        '{"agent": {"studentId": "..", "userId": "u-1"}}',
        '{"wizard": {}}',
    ],
)
def test_a_line_that_is_no_link_is_named_and_deletes_nothing(school: MockServer, line: str) -> None:
    Path("links.jsonl").write_text(f"\n{line}\n")

    done = run("unlink", "links.jsonl", "--failures", "f.jsonl")

    assert done.exit_code == 1
    assert "1 invalid" in done.stdout
    assert "links.jsonl:2" in done.stdout
    (kept,) = lines(Path("f.jsonl"))
    assert kept["_failure"]["text"] == line
    assert school.requests == 0


def test_what_was_not_deleted_can_be_given_to_unlink_again_and_makes_no_link(
    school: MockServer,
) -> None:
    path = write(link("s-1", "u-1"), link("s-2", "u-2"))
    school.faults = Faults(statuses={403: 1.0})

    failed = run("unlink", path, "--failures", "f.jsonl")
    school.faults = Faults()
    made = run("upsert", "f.jsonl")
    between = held(school)
    again = run("unlink", "f.jsonl")

    assert (failed.exit_code, made.exit_code, again.exit_code) == (1, 1, 0)
    assert "f.jsonl holds all of them." in words(failed.stdout)
    assert lines(Path("f.jsonl"))[0]["_failure"]["reason"].startswith("HTTP 403")
    assert between == ALL
    assert held(school) == ALL[1:3]


def test_what_failed_keeps_its_place_and_its_line_however_often_it_fails(
    school: MockServer,
) -> None:
    Path("links.jsonl").write_text("\nnot json\n" + json.dumps(link("s-1", "u-1")) + "\n")
    school.faults = Faults(statuses={403: 1.0})

    run("unlink", "links.jsonl", "--failures", "f.jsonl")
    again = run("unlink", "f.jsonl", "--failures", "g.jsonl")

    assert "links.jsonl:2" in again.stdout
    assert lines(Path("g.jsonl")) == lines(Path("f.jsonl"))
    places = [
        (each["_failure"]["file"], each["_failure"]["line"]) for each in lines(Path("g.jsonl"))
    ]
    assert sorted(places) == [("links.jsonl", 2), ("links.jsonl", 3)]


def test_a_failure_of_another_command_is_no_link_and_stays_as_it_is(school: MockServer) -> None:
    Path("f.jsonl").write_text('{"_failure": {"file": "users.csv", "line": 3, "reason": "x"}}\n')

    run("unlink", "f.jsonl", "--failures", "g.jsonl")
    run("unlink", "g.jsonl", "--failures", "h.jsonl")

    assert lines(Path("h.jsonl")) == lines(Path("g.jsonl"))
    assert lines(Path("g.jsonl"))[0]["_failure"]["file"] == "users.csv"


def test_a_link_whose_id_is_blank_is_that_of_the_derived_one(school: MockServer) -> None:
    done = run("unlink", write(link("s-1", "u-1", agentId="")))

    assert done.exit_code == 0
    assert held(school) == ALL[1:]


def test_refused_credentials_are_exit_code_2_and_all_is_in_the_failures(
    school: MockServer,
) -> None:
    path = write(*(link("s-1", f"u-{n}") for n in range(100)))

    done = run("unlink", path, "--failures", "f.jsonl", TIMEBACK_CLIENT_SECRET="wrong")

    assert done.exit_code == 2
    assert "invalid_client" in done.stderr
    assert done.stdout == ""
    assert len(lines(Path("f.jsonl"))) == 100


def test_ctrl_c_finishes_what_is_in_flight(school: MockServer) -> None:
    path = write(*(link("s-1", f"u-{n}") for n in range(500)))
    school.faults = Faults(latency=0.02)
    when(lambda: school.requests > 10, interrupt)

    done = run("unlink", path, "--max-in-flight", 4, "--json", "--failures", "f.jsonl")

    told = json.loads(done.stdout)
    assert done.exit_code == told["exit"] == 75
    assert told["links"] + told["not_reached"] == 500
    assert len(lines(Path("f.jsonl"))) == 500 - told["deleted"]


def test_what_ctrl_c_leaves_is_counted_on_the_screen(school: MockServer) -> None:
    path = write(*(link("s-1", f"u-{n}") for n in range(500)))
    school.faults = Faults(latency=0.02)
    when(lambda: school.requests > 10, interrupt)

    done = run("unlink", path, "--max-in-flight", 4)

    assert done.exit_code == 75
    assert "not reached" in done.stdout


def test_a_second_ctrl_c_cancels(school: MockServer) -> None:
    path = write(link("s-1", "u-1"), link("s-1", "u-2"))
    school.faults = Faults(latency=1.0)

    def twice() -> None:
        interrupt()
        time.sleep(0.1)
        interrupt()

    when(lambda: school.requests >= 1, twice)

    done = run("unlink", path, "--json")

    told = json.loads(done.stdout)
    assert done.exit_code == 75
    assert told["unknown"] + told["not_sent"] + told["not_reached"] == 2


@pytest.mark.parametrize("form", [(), ("--json",)])
def test_ctrl_c_before_anything_was_sent_deletes_nothing(
    school: MockServer, monkeypatch: pytest.MonkeyPatch, form: tuple[str, ...]
) -> None:
    school.faults = Faults(latency=5)

    def interrupted(**settings: Any) -> Any:
        interrupt()
        return config_from_env(**settings)

    monkeypatch.setattr(_unlink_run, "config_from_env", interrupted)

    done = run("unlink", "s-1", "u-1", *form)

    assert done.exit_code == 75
    assert held(school) == ALL


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["gone.jsonl"], "gone.jsonl: No such file"),
        (["s-1"], "must be a .jsonl file of links"),
        (["links.jsonl", "--failures", "links.jsonl"], "must not be one of the files read"),
        (["links.jsonl", "--failures", "no/such/f.jsonl"], "No such file"),
        (["links.jsonl", "--max-rate", "0"], "--max-rate"),
    ],
)
def test_what_cannot_begin_is_exit_code_2_and_deletes_nothing(
    school: MockServer, arguments: list[str], said: str
) -> None:
    write(link("s-1", "u-1"))

    done = run("unlink", *arguments)

    assert done.exit_code == 2
    assert said in words(done.stderr)
    assert held(school) == ALL


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_file_under_a_second_name_is_not_emptied(school: MockServer) -> None:
    path = write(link("s-1", "u-1"))
    Path("again.jsonl").hardlink_to(path)
    Path("soft.jsonl").symlink_to(path)
    before = path.read_bytes()

    for name in ("again.jsonl", "soft.jsonl"):
        done = run("unlink", path, "--failures", name)
        assert "must not be one of the files read" in words(done.stderr)

    assert path.read_bytes() == before


def test_a_file_of_failures_that_is_not_whole_is_not_said_to_be(school: MockServer) -> None:
    path = write({"agent": 5})

    done = run("unlink", path, "--failures", "/dev/full")

    assert done.exit_code == 1
    assert "holds all of them" not in done.stdout
    assert "does not hold every failure" in words(done.stderr)
