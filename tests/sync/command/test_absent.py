"""What becomes of whoever is no longer in the files."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.support.command import family, figures, sync, words
from tests.support.records import Json, wire_role
from tests.support.rosters import adult, child
from timeback_async.testing import MockServer, _api
from timeback_async.testing._answers import Refusal


def test_who_is_absent_is_left_alone_and_mentioned(server: MockServer) -> None:
    sync(family())

    done = sync(family(child("s-1"), adult("u-1")))

    assert done.exit_code == 0
    assert "No longer in the files: 1 link, 1 student. They were not removed" in words(done.stdout)
    assert server.students["s-2"]["status"] == "active"
    assert len(server.agents) == 2


def test_who_is_absent_is_removed_where_that_is_asked_for(server: MockServer) -> None:
    sync(family())

    family(child("s-1"), adult("u-1"))
    report = figures("family", "--deactivate-absent", "--unlink-absent", "--max-removals", "50%")

    assert report["exit"] == 0
    assert report["phases"]["deactivations"] == {"planned": 1, "saved": 1}
    assert report["phases"]["unlinks"] == {"planned": 1, "deleted": 1}
    assert server.students["s-2"]["status"] == "tobedeleted"
    assert len(server.agents) == 1


# What a list says instead of all people.
LISTS: dict[str, Callable[[list[Any], Json], Json]] = {
    "null": lambda people, page: page | {"users": None},
    "empty": lambda people, page: page | {"users": [], "total": 0},
    "a part": lambda people, page: page | {"users": people[:1] if page["offset"] == 0 else []},
    "no total": lambda people, page: {"users": people[:1] if page["offset"] == 0 else []},
    "a total of nothing": lambda people, page: (
        page | {"users": people[:1] if page["offset"] == 0 else [], "total": 0}
    ),
    "odd ids": lambda people, page: (
        page | {"users": [each | {"sourcedId": 5} for each in page["users"]]}
    ),
}


@pytest.mark.parametrize("form", LISTS)
def test_nobody_counts_as_removed_since_a_list_that_is_not_whole_leaves_them_out(
    server: MockServer, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    sync(family())
    people = [*server.students.values(), *server.users.values()][::-1]  # who is absent comes last
    listed = _api.RosteringApi._list

    def odd(self: Any, name: str, records: list[Json], query: str) -> tuple[int, object]:
        status, page = listed(self, name, records, query)
        assert isinstance(page, dict)
        return status, LISTS[form](people, page)

    family(child("s-1"), adult("u-1"))
    remove = ("family", "--deactivate-absent", "--max-removals", "50%")
    with monkeypatch.context() as patch:
        patch.setattr(_api.RosteringApi, "_list", odd)
        first = figures(*remove)
    second = figures(*remove)

    assert first["phases"]["deactivations"] == {"planned": 1, "not_sent": 1}
    assert first["exit"] == 1
    assert "does not say for certain" in first["failures"][0]["reason"]
    assert second["phases"]["deactivations"] == {"planned": 1, "saved": 1}
    assert server.students["s-2"]["status"] == "tobedeleted"


@pytest.mark.parametrize("is_there", [True, False])
def test_a_link_that_is_not_found_is_gone_only_if_timeback_does_not_list_it(
    server: MockServer, is_there: bool
) -> None:
    sync(family())
    if not is_there:
        server.agents.clear()
    server.fail(404, method="DELETE")

    family(child("s-1"), child("s-2"), adult("u-1"))
    remove = ("family", "--unlink-absent", "--max-removals", "100%")
    first, second = figures(*remove), figures(*remove)

    unlinks = {"planned": 2, "failed" if is_there else "deleted": 2}
    assert first["phases"]["unlinks"] == unlinks
    assert second["phases"].get("unlinks", {}).get("planned", 0) == (2 if is_there else 0)


@pytest.mark.parametrize(
    ("listed", "is_gone"),
    [("nobody", True), ("somebody", False), ("refused", False), ("null", False)],
)
def test_who_is_not_found_is_gone_only_if_timeback_lists_nobody_of_that_id(
    server: MockServer, monkeypatch: pytest.MonkeyPatch, listed: str, is_gone: bool
) -> None:
    plain = ("--state", "plain.db", "--state-ids", "plain")
    sync(family(), *plain)
    route, filters = _api.RosteringApi.route, list[str]()

    def odd(self: Any, method: str, path: str, query: str, body: bytes) -> tuple[int, object]:
        if method == "GET" and path.endswith("/users/s-2"):
            raise Refusal(404, "no such user")
        if method == "GET" and path.endswith("/users"):
            filters.append(query)
            if listed == "refused":
                raise Refusal(404, "no such path")
            if listed == "null":
                return 200, {"users": None, "total": 1}
            found = [server.users["u-1"]] if listed == "somebody" else []
            return 200, {"users": found, "total": len(found)}
        return route(self, method, path, query, body)

    monkeypatch.setattr(_api.RosteringApi, "route", odd)

    family(child("s-1"), adult("u-1"))
    report = figures("family", *plain, "--deactivate-absent", "--max-removals", "50%")

    outcome = "deleted" if is_gone else "not_sent"
    assert report["phases"]["deactivations"] == {"planned": 1, outcome: 1}
    assert "sourcedId%3D%27s-2%27" in filters[0]


def test_whom_a_list_hides_while_it_moves_is_found_in_the_next_one(
    server: MockServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    sync(family())
    listed, lists = _api.RosteringApi._list, list[int]()

    def hiding(self: Any, name: str, records: list[Any], query: str) -> tuple[int, object]:
        lists.append(len(records))
        hidden = [each for each in records if each["sourcedId"] != "s-2" or len(lists) > 1]
        return listed(self, name, hidden, query)

    monkeypatch.setattr(_api.RosteringApi, "_list", hiding)

    family(child("s-1"), adult("u-1"))
    report = figures("family", "--deactivate-absent", "--max-removals", "50%")

    assert report["phases"]["deactivations"] == {"planned": 1, "saved": 1}
    assert len(lists) == 2


def test_whom_a_whole_list_does_not_have_counts_as_removed(server: MockServer) -> None:
    sync(family())
    del server.students["s-2"]

    family(child("s-1"), adult("u-1"))
    report = figures("family", "--deactivate-absent", "--max-removals", "50%")

    assert report["phases"]["deactivations"] == {"planned": 1, "deleted": 1}


@pytest.mark.parametrize(
    ("roles", "is_student"),
    [
        ([wire_role(role="student", endDate="2015-07-31"), wire_role(role="teacher")], False),
        ([wire_role(role="teacher", endDate="2015-07-31"), wire_role(role="student")], True),
        (["teacher"], None),
    ],
)
def test_who_is_removed_stays_what_they_are_by_the_roles_at_timeback(
    server: MockServer, roles: list[Any], is_student: bool | None
) -> None:
    sync(family())
    server.users["u-1"] |= {"roles": roles, "primaryOrg": {"sourcedId": "org-1", "type": "org"}}

    family(child("s-1"), child("s-2"))
    done = sync("family", "--deactivate-absent", "--max-removals", "50%")

    if is_student is None:
        assert "roles: has another type" in words(done.stdout)
        assert (server.users["u-1"]["status"], "u-1" in server.students) == ("active", False)
    else:
        stored = server.students if is_student else server.users
        assert stored["u-1"]["status"] == "tobedeleted"


@pytest.mark.parametrize("is_dry", [False, True])
def test_too_many_removals_are_exit_code_2_before_the_first_request(
    server: MockServer, is_dry: bool
) -> None:
    sync(family())
    before = server.requests

    family(child("s-1", "u-1", grades="07"))
    done = sync("family", "--deactivate-absent", *(["--dry-run"] if is_dry else []))

    assert done.exit_code == 2
    assert "2 people are no longer in the files and would be removed" in done.stderr
    assert "but only 0 may be" in done.stderr
    assert server.requests == before
