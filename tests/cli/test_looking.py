"""`user`, `users`, `orgs`, `agents`, `request`: what TimeBack has, nothing personal unasked."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.command import interrupt, run, when, words
from tests.support.records import wire_agent, wire_role, wire_student, wire_user
from timeback_async.cli import _users
from timeback_async.testing import Faults, MockServer
from timeback_async.testing._answers import Refusal

PERSONAL: dict[str, Any] = {
    "email": "canary@example.com", "givenName": "Canary", "familyName": "Canary",
    "username": "canary", "demographics": {"birthDate": "2013-02-03"}, "password": "CanaryPassword",
    "metadata": {"nick": "canary"}, "canaryField": "canary",
}  # fmt: skip


@pytest.fixture
def school(server: MockServer) -> MockServer:
    server.students["s-1"] = wire_student("s-1", **PERSONAL)
    server.users["u-1"] = wire_user("u-1", **PERSONAL)
    server.agents["s-1", "a-1"] = wire_agent("u-1")
    return server


def listed(*arguments: object) -> Any:
    return json.loads(run(*arguments, "--json").stdout)


# -- one person


def test_a_person_is_shown_with_links_and_without_what_is_personal(school: MockServer) -> None:
    done = run("user", "s-1")

    shown = words(done.stdout)
    assert done.exit_code == 0
    assert "sourcedId s-1" in shown
    assert "primaryOrg org-1" in shown
    assert "grades 5" in shown
    assert "Agents of s-1" in shown
    assert "u-1" in shown
    assert "parent" in shown
    assert "canary" not in done.output.lower()


def test_roles_are_shown_with_their_orgs(school: MockServer) -> None:
    assert "parent@org-1" in run("user", "u-1").stdout


def test_what_is_personal_is_shown_on_demand_and_secrets_never_are(school: MockServer) -> None:
    school.users["u-1"]["userProfiles"] = [{"credentials": [{"password": "CanaryPassword"}]}]

    done = run("user", "u-1", "--show-personal")
    told = listed("user", "u-1", "--show-personal")

    assert "canary@example.com" in done.stdout
    assert '{"birthDate": "2013-02-03"}' in done.stdout
    assert told["user"]["canaryField"] == "canary"
    assert "CanaryPassword" not in done.output + str(told)


def test_no_secret_is_shown_however_deep_it_is(school: MockServer) -> None:
    secret = {
        "password": "CANARYSECRET",
        "passwordHash": "CANARYSECRET",
        "accessToken": "CANARYSECRET",
    }
    school.students["s-1"] |= {
        "metadata": {"house": "owl", "logins": [secret], "credentials": ["CANARYSECRET"]},
        "userSecret": "CANARYSECRET",
    }

    done = run("user", "s-1", "--show-personal")

    assert "owl" in done.stdout
    assert "CANARYSECRET" not in done.output


@pytest.mark.parametrize("status", [400, 404, 422])
@pytest.mark.parametrize(("own", "is_told"), [("s-1", True), ("u-1", False), ("u-9", True)])
def test_links_that_could_not_be_read_are_not_none(
    school: MockServer, monkeypatch: pytest.MonkeyPatch, own: str, is_told: bool, status: int
) -> None:
    def refused(*_: object) -> None:
        raise Refusal(status, "no")

    school.users["u-9"] = wire_user("u-9", roles=["who knows"])
    monkeypatch.setattr(school.stores, "agents_of", refused)

    done, told = run("user", own), json.loads(run("user", own, "--json").stdout)

    assert done.exit_code == told["exit"] == int(is_told)
    assert ("the links could not be read: HTTP" in done.stderr) == is_told
    assert ("Nobody is linked" in done.stdout) != is_told
    assert bool(told["error"]) == is_told


def test_the_record_and_the_links_of_a_person_are_json(school: MockServer) -> None:
    school.students["s-1"]["agents"] = [{"sourcedId": "u-1", "type": "user"}]

    told = listed("user", "s-1")

    assert told["ok"] is True
    assert told["user"]["sourcedId"] == "s-1"
    assert told["user"]["agents"][0]["sourcedId"] == "u-1"
    assert told["agents"] == [
        {"userId": "u-1", "relationshipType": "parent", "agentId": "a-1"},
    ]
    assert "canary" not in str(told).lower()


def test_people_whom_a_record_names_are_shown_by_their_ids(school: MockServer) -> None:
    school.users["u-1"]["agents"] = [{"sourcedId": "s-1"}, {"sourcedId": "s-2"}]

    assert "agents s-1, s-2" in words(run("user", "u-1").stdout)


def test_somebody_who_is_not_there_is_exit_code_1(server: MockServer) -> None:
    done = run("user", "nobody")
    told = run("user", "nobody", "--json")

    assert done.exit_code == told.exit_code == 1
    assert "HTTP 404" in done.stderr
    refused = json.loads(told.stdout)
    assert (refused["ok"], refused["exit"]) == (False, 1)
    assert "HTTP 404" in refused["error"]


@pytest.mark.parametrize("raw", ["\x1b[31m", "\x9b31m", "\u202e"])
@pytest.mark.parametrize("field", ["roles", "grades", "status", "unknown"])
def test_no_text_of_a_person_changes_the_screen(school: MockServer, field: str, raw: str) -> None:
    values = {"roles": [wire_role(role=raw, org={"sourcedId": raw})], "grades": [raw]}
    school.students["s-1"][field] = values.get(field, raw if field == "status" else {"a": raw})

    for command in (
        ["user", "s-1", "--show-personal"],
        ["users", "--fields", f"sourcedId,{field}"],
    ):
        done = run(*command)
        assert done.exit_code == 0
        assert raw not in done.output


@pytest.mark.parametrize("command", ["user", "agents"])
def test_an_id_with_control_characters_changes_no_screen(school: MockServer, command: str) -> None:
    school.agents["s-1", "a-\x1b[31m"] = wire_agent("u-1")

    assert "\x1b[31m" not in run(command, "s-1").output


def test_the_agents_of_nobody_are_json_for_a_program(server: MockServer) -> None:
    told = run("agents", "nobody", "--json")

    assert told.exit_code == 1
    assert json.loads(told.stdout)["exit"] == 1


# -- many people


def test_users_are_a_table_of_ids_and_what_is_not_personal(school: MockServer) -> None:
    done = run("users")

    head, *rows = done.stdout.splitlines()
    assert done.exit_code == 0
    assert head.split() == ["sourcedId", "status", "enabledUser", "primaryOrg", "roles", "grades"]
    assert [row.split()[0] for row in rows] == ["s-1", "u-1"]
    assert "canary" not in done.output.lower()
    assert done.stderr == "2 users\n"


def test_names_of_users_are_shown_on_demand(school: MockServer) -> None:
    done = run("users", "--show-personal")

    assert "canary@example.com" in done.stdout
    assert "CanaryPassword" not in done.output


def test_users_are_json_or_json_lines(school: MockServer) -> None:
    told = listed("users")
    lines = run("users", "--jsonl")

    assert [each["sourcedId"] for each in told["users"]] == ["s-1", "u-1"]
    assert (told["ok"], told["error"], told["exit"]) == (True, "", 0)
    assert [json.loads(line) for line in lines.stdout.splitlines()] == told["users"]
    assert lines.stderr == ""
    assert "canary" not in lines.output.lower()


def test_two_forms_at_once_are_refused(server: MockServer) -> None:
    done = run("users", "--json", "--jsonl")

    assert done.exit_code == 2
    assert "choose one" in words(done.stderr)


def test_a_filter_and_fields_are_handed_on(school: MockServer) -> None:
    told = run("users", "--filter", "status='active' AND sourcedId='u-1'", "--fields", "status")

    assert told.stdout.split() == ["sourcedId", "status", "u-1", "active"]


def test_personal_fields_need_the_word(school: MockServer) -> None:
    refused = run("users", "--fields", "sourcedId, email")
    shown = run("users", "--fields", "sourcedId, email", "--show-personal")

    assert refused.exit_code == 2
    assert "email: personal; add --show-personal" in words(refused.stderr)
    assert shown.stdout.split() == ["sourcedId", "email", *["s-1", "canary@example.com"],
                                    *["u-1", "canary@example.com"]]  # fmt: skip


def test_a_filter_that_is_refused_is_one_line(server: MockServer) -> None:
    done = run("users", "--filter", "nonsense")

    assert done.exit_code == 2
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("form", [(), ("--json",), ("--jsonl",)])
def test_more_users_than_a_page_come_page_by_page(
    server: MockServer, form: tuple[str, ...]
) -> None:
    server.students.update({f"s-{n:03}": wire_student(f"s-{n:03}") for n in range(250)})

    done = run("users", *form)

    assert done.exit_code == 0
    assert done.stdout.count("s-") == 250
    assert server.requests == 3
    if form == ("--json",):
        assert len(json.loads(done.stdout)["users"]) == 250


def test_no_users_are_a_heading(server: MockServer) -> None:
    done = run("users")

    assert done.stdout.split()[0] == "sourcedId"
    assert done.stderr == "0 users\n"


def test_orgs_are_listed_with_their_names(server: MockServer) -> None:
    done = run("orgs")
    told = listed("orgs", "--filter", "type='district'")

    assert "org-1         school    active  First School   org-district" in done.stdout
    assert [each["name"] for each in told["orgs"]] == ["District"]


@pytest.mark.parametrize("form", ["--json", "--jsonl"])
def test_what_came_before_an_error_is_printed(server: MockServer, form: str) -> None:
    server.students.update({f"s-{n:03}": wire_student(f"s-{n:03}") for n in range(150)})
    when(lambda: server.requests == 1, lambda: setattr(server, "faults", Faults(statuses={400: 1})))
    server.faults = Faults(latency=0.2)

    done = run("users", form)

    assert done.exit_code == 2
    assert done.stdout.count("sourcedId") >= 100
    if form == "--json":
        told = json.loads(done.stdout)
        assert (told["ok"], told["exit"]) == (False, 2)
        assert "HTTP 400" in told["error"]


def test_what_waits_to_be_printed_is_printed_before_an_error(
    server: MockServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_users, "AT_ONCE", 1000)
    server.students.update({f"s-{n:03}": wire_student(f"s-{n:03}") for n in range(150)})
    when(lambda: server.requests == 1, lambda: setattr(server, "faults", Faults(statuses={400: 1})))
    server.faults = Faults(latency=0.2)

    assert run("users").stdout.count("s-") == 100


def test_ctrl_c_ends_a_list_in_order(server: MockServer) -> None:
    server.students.update({f"s-{n:03}": wire_student(f"s-{n:03}") for n in range(250)})
    server.faults = Faults(latency=0.3)
    when(lambda: server.requests == 2, interrupt)

    done = run("users", "--json")

    told = json.loads(done.stdout)
    assert done.exit_code == told["exit"] == 75
    assert len(told["users"]) == 100
    assert told["error"] == "interrupted"


@pytest.mark.parametrize("command", ["user", "agents"])
def test_where_nobody_is_linked_one_line_says_so(school: MockServer, command: str) -> None:
    school.agents.clear()

    done = run(command, "s-1")

    assert done.exit_code == 0
    assert "Nobody is linked to s-1." in done.stdout
    assert "Agents of" not in done.stdout


# -- any request


def test_a_request_prints_the_answer(server: MockServer) -> None:
    short, whole = (
        run("request", "get", "/orgs?limit=1"),
        run("request", "GET", "/rostering/1.0/orgs?limit=1"),
    )

    assert json.loads(short.stdout)["orgs"][0]["sourcedId"] == "org-district"
    assert short.stdout == whole.stdout
    assert short.stderr == "HTTP 200\n"


def test_a_quiet_request_prints_the_answer_alone(server: MockServer) -> None:
    done = run("request", "GET", "/orgs?limit=1", "-q")

    assert json.loads(done.stdout)["orgs"]
    assert done.stderr == ""


def test_an_answer_that_is_no_json_is_text_in_json(server: MockServer) -> None:
    server.faults = Faults(answers={"html": 1.0})

    done = run("request", "GET", "/orgs", "--json")

    assert "<" in json.loads(done.stdout)["body"]


def test_a_request_sends_a_body(server: MockServer) -> None:
    body = json.dumps({"student": wire_student("s-1")})
    Path("body.json").write_text(json.dumps({"student": wire_student("s-2")}))

    text = run("request", "PUT", "/students", "--body", body)
    file = run("request", "PUT", "/students", "--body", "@body.json")

    assert text.exit_code == file.exit_code == 0
    assert list(server.students) == ["s-1", "s-2"]


def test_an_answer_without_a_body_prints_nothing(school: MockServer) -> None:
    done = run("request", "DELETE", "/students/s-1/agents/a-1")

    assert (done.stdout, done.stderr, done.exit_code) == ("", "HTTP 204\n", 0)


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["GET", "users"], 2, 'must begin with one "/"'),
        (["GE T", "/users"], 2, "must be an HTTP method"),
        (["PUT", "/students", "--body", "@gone.json"], 2, "gone.json"),
        (["PUT", "/students", "--body", "{"], 2, "--body: is no JSON"),
    ],
)
def test_a_request_that_fails_is_one_line(
    server: MockServer, arguments: list[str], code: int, said: str
) -> None:
    done = run("request", *arguments)

    assert done.exit_code == code
    assert done.stdout == ""
    assert said in words(done.stderr)
    assert done.stderr.count("\n") == 1


def test_what_the_server_says_to_a_request_that_fails_is_printed(server: MockServer) -> None:
    done = run("request", "GET", "/users/nobody")
    told = json.loads(run("request", "GET", "/users/nobody", "--json").stdout)

    assert (done.exit_code, done.stdout) == (1, "no such user\n")
    assert "HTTP 404" in words(done.stderr)
    assert (told["ok"], told["exit"], told["status"]) == (False, 1, 404)
    assert told["body"] == "no such user"
