"""What `state` shows, exports and forgets."""

import json
import re
from pathlib import Path

import pytest

from tests.support.command import family, figures, run, sync, words
from tests.support.rosters import FAMILY
from timeback_async import Config
from timeback_async.sync import State
from timeback_async.testing import MockServer


def test_the_state_is_shown_in_numbers(server: MockServer) -> None:
    sync(family())

    shown, found = run("state", "show"), json.loads(run("state", "show", "--json").stdout)

    records = {(each["kind"], each["outcome"]): each["count"] for each in found["records"]}
    assert shown.exit_code == 0
    assert f"endpoint: {server.base_url}" in shown.stdout
    assert re.search(r"student +│ saved +│ 2 ", shown.stdout)
    assert records == {("agent", "saved"): 2, ("student", "saved"): 2, ("user", "saved"): 1}
    assert (found["ids"], found["endpoint"]) == ("hashed", server.base_url)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", found["last_run"])


def test_a_state_that_has_seen_no_run_says_so() -> None:
    State("new.db").close()

    assert "last run: never" in run("state", "show", "--state", "new.db").stdout


def test_the_state_is_exported_without_hashes(server: MockServer) -> None:
    sync(family(), "--state-ids", "plain")

    rows = [json.loads(line) for line in run("state", "export").stdout.splitlines()]
    told = json.loads(run("state", "export", "--json").stdout)

    students = [each for each in rows if each["kind"] == "student"]
    assert len(rows) == 5
    assert told == {"records": rows, "ok": True, "error": "", "exit": 0}
    assert [each["id"] for each in students] == ["s-1", "s-2"]
    assert "hash" not in rows[0]
    assert students[0] == students[0] | {
        "outcome": "saved", "status": 200, "attempts": 1, "source": "users", "student": "",
    }  # fmt: skip


@pytest.mark.parametrize("ids", ["hashed", "plain"])
def test_what_is_known_of_an_id_is_found_though_only_its_hash_is_kept(
    server: MockServer, ids: str
) -> None:
    sync(family(), "--state-ids", ids)

    done = run("state", "find", "s-1", "u-1", "s-9")
    told = json.loads(run("state", "find", "u-1", "s-9", "--json").stdout)["records"]

    child, parent, nobody = done.stdout.splitlines()
    assert done.exit_code == 1
    assert re.match(r"s-1: student, saved at \d{4}-.*Z, file users, links: 1 saved; its", child)
    assert re.match(r"u-1: user, saved at .*, links: 2 saved; its id in the state is ", parent)
    assert nobody.startswith("s-9: not known; its id in the state is ")
    assert nobody.endswith(told[1]["id"])
    assert [each["known"] for each in told] == [True, False]
    assert (told[0]["kind"], told[0]["source"]) == ("user", "users")
    assert [each["outcome"] for each in told[0]["links"]] == ["saved"] * 2
    assert told[1]["links"] == []
    assert "hash" not in told[0]


def test_an_id_is_found_by_the_hash_that_a_dry_run_prints(server: MockServer) -> None:
    sync(family())
    path = family(FAMILY[0], FAMILY[2])
    dry = sync(path, "--deactivate-absent", "--max-removals", "9", "--dry-run")
    found = re.search(r"hashed id ([0-9a-f]{32})", dry.stdout)
    assert found is not None

    by_hash = run("state", "find", found[1], "--json")
    shown = run("state", "find", "s-2")
    by_id = run("state", "find", "s-2", "--json")

    assert by_hash.exit_code == by_id.exit_code == 0
    assert json.loads(by_hash.stdout)["records"][0]["id"] == found[1]
    assert json.loads(by_id.stdout)["records"][0]["id"] == found[1]
    assert found[1] in shown.stdout
    assert "`state find ID…` prints the hash of an id" in words(dry.stdout)


def test_a_link_is_no_person(server: MockServer) -> None:
    sync(family(), "--state-ids", "plain")

    assert run("state", "find", "s-1\nu-1").exit_code == 1


def test_who_is_forgotten_leaves_no_row_and_is_sent_again_while_in_the_files(
    server: MockServer,
) -> None:
    sync(family())

    forgotten, unknown = run("state", "forget", "s-1", "s-2"), run("state", "forget", "s-9")
    left = json.loads(run("state", "show", "--json").stdout)["records"]
    again = figures("family")

    assert (forgotten.exit_code, unknown.exit_code) == (0, 1)
    assert "Removed 4 rows" in forgotten.stdout
    assert "Nothing was changed at TimeBack" in forgotten.stdout
    assert [(each["kind"], each["count"]) for each in left] == [("user", 1)]
    assert again["phases"]["people"]["planned"] == 2


@pytest.mark.parametrize("command", [["show"], ["find", "s-1"], ["export"], ["forget", "s-1"]])
def test_a_state_that_is_not_there_or_none_is_exit_code_2(command: list[str]) -> None:
    Path("text.db").write_text("Dear state,")

    gone, text = run("state", *command), run("state", *command, "--state", "text.db")

    assert (gone.exit_code, text.exit_code) == (2, 2)
    assert "does not exist" in gone.stderr
    assert "is damaged, or not a state" in text.stderr


def test_a_state_in_use_is_nobody_elses(server: MockServer) -> None:
    family()

    with State("timeback-state.db", Config.from_env()):
        others = [sync("family"), run("state", "forget", "s-1")]

    assert [done.exit_code for done in others] == [2, 2]
    assert all("is in use by another run" in done.stderr for done in others)
    assert all("wait until that ends" in done.stderr for done in others)
    assert server.requests == 0


def test_the_state_of_another_client_is_refused(server: MockServer) -> None:
    sync(family())

    done = sync("family", TIMEBACK_CLIENT_ID="another")

    assert done.exit_code == 2
    assert "belongs to another endpoint or client" in done.stderr
