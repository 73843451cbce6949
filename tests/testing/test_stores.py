from typing import Any

import pytest

from tests.support.records import wire_agent, wire_student, wire_user
from timeback_async.testing._stores import Stores, select

PEOPLE: list[dict[str, Any]] = [
    {"sourcedId": "s-1", "givenName": "Ada", "familyName": "Byron", "primaryOrg": {"name": "A"}},
    {"sourcedId": "s-2", "givenName": "Grace", "familyName": "Hopper", "email": None},
    {"sourcedId": "s-3", "givenName": "Alan", "familyName": "O'Neil", "enabledUser": "true"},
    {"sourcedId": "s-4", "givenName": "Rock AND Roll", "familyName": "Byron"},
]


def ids(query: dict[str, str]) -> list[str]:
    return [record["sourcedId"] for record in select(PEOPLE, query)[0]]


def test_a_page_has_ten_records_unless_asked_otherwise() -> None:
    records = [{"sourcedId": str(number)} for number in range(12)]

    page, limit, offset, total = select(records, {})

    assert page == records[:10]
    assert (limit, offset, total) == (10, 0, 12)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"limit": "1"}, ["s-1"]),
        ({"limit": "100"}, ["s-1", "s-2", "s-3", "s-4"]),
        ({"limit": "2", "offset": "1"}, ["s-2", "s-3"]),
        ({"offset": "3"}, ["s-4"]),
        ({"offset": "4"}, []),
    ],
)
def test_limit_and_offset_cut_out_a_page(query: dict[str, str], expected: list[str]) -> None:
    assert ids(query) == expected


@pytest.mark.parametrize(
    "query",
    [
        {"limit": "0"},
        {"limit": "101"},
        {"limit": "-1"},
        {"limit": "ten"},
        {"limit": "²"},
        {"offset": "-1"},
        {"offset": "1.5"},
        {"orderBy": "sideways", "sort": "givenName"},
        {"filter": "givenName"},
        {"filter": "givenName=Ada"},
        {"filter": "givenName='Ada"},
        {"filter": "givenName=='Ada'"},
        {"filter": "givenName='Ada' XOR familyName='Byron'"},
        {"filter": "givenName='A' AND givenName='B' AND givenName='C'"},
    ],
)
def test_a_wrong_parameter_is_named(query: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=f"^{next(iter(query))}$"):
        select(PEOPLE, query)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"sort": "givenName"}, ["s-1", "s-3", "s-2", "s-4"]),
        ({"sort": "givenName", "orderBy": "ASC"}, ["s-1", "s-3", "s-2", "s-4"]),
        ({"sort": "givenName", "orderBy": "DESC"}, ["s-4", "s-2", "s-3", "s-1"]),
        ({"sort": "email"}, ["s-1", "s-2", "s-3", "s-4"]),
        ({"sort": "givenName", "limit": "1", "offset": "1"}, ["s-3"]),
    ],
)
def test_records_are_sorted_before_the_page_is_cut(
    query: dict[str, str], expected: list[str]
) -> None:
    assert ids(query) == expected


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("familyName='Byron'", ["s-1", "s-4"]),
        ("familyName!='Byron'", ["s-2", "s-3"]),
        ("givenName>'Alan'", ["s-2", "s-4"]),
        ("givenName>='Alan'", ["s-2", "s-3", "s-4"]),
        ("givenName<'Alan'", ["s-1"]),
        ("givenName<='Alan'", ["s-1", "s-3"]),
        ("givenName~'A'", ["s-1", "s-2", "s-3", "s-4"]),
        ("familyName ~ 'yRO'", ["s-1", "s-4"]),
        ("familyName = 'O''Neil'", ["s-3"]),
        ("enabledUser='true'", ["s-3"]),
        ("email=''", ["s-1", "s-2", "s-3", "s-4"]),
        ("primaryOrg.name='A'", ["s-1"]),
        ("givenName.name='A'", []),
        ("familyName='Byron' AND givenName='Ada'", ["s-1"]),
        ("givenName='Ada' OR givenName='Grace'", ["s-1", "s-2"]),
        ("givenName='Rock AND Roll'", ["s-4"]),
        ("givenName='Rock AND Roll' OR givenName='Ada'", ["s-1", "s-4"]),
    ],
)
def test_a_filter_selects(expression: str, expected: list[str]) -> None:
    assert ids({"filter": expression}) == expected


def test_the_total_counts_what_the_filter_selects() -> None:
    page, _, _, total = select(PEOPLE, {"filter": "familyName='Byron'", "limit": "1"})

    assert (len(page), total) == (1, 2)


def test_fields_are_picked_and_the_id_always_comes_along() -> None:
    page, *_ = select(PEOPLE, {"fields": "givenName,email", "limit": "2"})

    assert page == [
        {"sourcedId": "s-1", "givenName": "Ada"},
        {"sourcedId": "s-2", "givenName": "Grace", "email": None},
    ]


def test_a_person_is_a_user_or_a_student() -> None:
    stores = Stores()
    stores.students["s-1"] = wire_student()
    stores.users["u-1"] = wire_user()

    assert stores.person("s-1") == wire_student()
    assert stores.person("u-1") == wire_user()
    assert stores.person("nobody") is None


def test_a_person_is_kept_once_as_last_sent() -> None:
    stores = Stores()

    stores.put_user(wire_user("x-1"))
    stores.put_student(wire_student("x-1"))
    assert (list(stores.students), list(stores.users)) == (["x-1"], [])

    stores.put_user(wire_user("x-1"))
    assert (list(stores.students), list(stores.users)) == ([], ["x-1"])


def test_the_agents_of_a_student_carry_their_ids() -> None:
    stores = Stores()
    stores.agents = {("s-1", "a-1"): wire_agent("u-1"), ("s-2", "a-1"): wire_agent("u-2")}

    assert stores.agents_of("s-1") == [{"agentId": "a-1", **wire_agent("u-1")}]


def test_there_is_a_district_with_two_schools() -> None:
    orgs = Stores().orgs

    assert {org_id: org["type"] for org_id, org in orgs.items()} == {
        "org-district": "district",
        "org-1": "school",
        "org-2": "school",
    }
    assert orgs["org-district"]["parent"] is None
    assert orgs["org-1"]["parent"]["sourcedId"] == "org-district"
