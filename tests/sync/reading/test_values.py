from datetime import date

import pytest

from timeback_async.sync._reading.values import AMBIGUOUS, boolean, day, listed, user_ids


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *((text, "true") for text in ("true", "TRUE", "True", "1", "yes", "Y")),
        *((text, "false") for text in ("false", "FALSE", "False", "0", "no", "N")),
        *((text, None) for text in ("", "2", "maybe", "wahr", "10")),
    ],
)
def test_a_boolean_is_read_in_each_form_that_files_have(text: str, value: str | None) -> None:
    assert boolean(text) == value


@pytest.mark.parametrize(
    ("text", "elements"),
    [
        ("", []),
        ("a", ["a"]),
        ("a,b", ["a", "b"]),
        (" a , b ,", ["a", "b"]),
        (",", []),
        ("[]", []),
        ('["a","b,c",""]', ["a", "b,c"]),
        ("[a", ["[a"]),
    ],
)
def test_a_list_is_read_in_each_form_that_files_have(text: str, elements: list[str]) -> None:
    assert listed(text) == elements


@pytest.mark.parametrize(
    ("text", "identifiers"),
    [
        ("", []),
        ("[]", []),
        ("74727075", ["74727075"]),
        ("{LDAP:12}", ["LDAP:12"]),
        ("{LDAP:12},{LTI: 15 },{Fed:a:b}", ["LDAP:12", "LTI:15", "Fed:a:b"]),
        ('[{"type":"LDAP","identifier":"12"}]', ["LDAP:12"]),
        ("[{LDAP:12}]", ["LDAP:12"]),
        ("{}", []),
    ],
)
def test_user_ids_are_read_in_each_form_that_files_have(text: str, identifiers: list[str]) -> None:
    assert user_ids(text) == identifiers


@pytest.mark.parametrize(
    "text",
    [
        "2010-04-21",
        "2010/04/21",
        "20100421",
        "2010-04-21T08:00:00.000Z",
        "2010-04-21 08:00",
        "21.04.2010",
        "21/4/2010",
        "4/21/2010",
        "4-21-2010",
    ],
)
def test_a_date_that_can_be_read_in_one_way_is_read(text: str) -> None:
    assert day(text, None) == date(2010, 4, 21)


def test_a_date_of_equal_day_and_month_can_be_read_in_one_way() -> None:
    assert day("4/4/2010", None) == date(2010, 4, 4)


@pytest.mark.parametrize("text", ["4/2/2010", "04.02.2010", "12-11-2010", "1/05/2023"])
def test_a_date_that_can_be_read_in_two_ways_is_not_read(text: str) -> None:
    assert day(text, None) == AMBIGUOUS


@pytest.mark.parametrize(
    "text",
    [
        "",
        "yesterday",
        "2010-02-30",
        "30/02/2010",
        "31/31/2010",
        "4/21/10",
        "2010-4-21",
        "2010-0421",
        "4/21-2010",
        "0000-01-01",
        "40289",
    ],
)
def test_what_is_no_date_is_not_read(text: str) -> None:
    assert day(text, None) == "value-invalid"


@pytest.mark.parametrize(
    ("text", "form", "value"),
    [
        ("4/2/2010", "%m/%d/%Y", date(2010, 4, 2)),
        ("4/2/2010", "%d/%m/%Y", date(2010, 2, 4)),
        ("2010-04-02", "%d/%m/%Y", date(2010, 4, 2)),
        ("4.2.2010", "%d/%m/%Y", "value-invalid"),
        ("21/4/2010", "%m/%d/%Y", "value-invalid"),
    ],
)
def test_a_form_that_was_told_is_kept_to(text: str, form: str, value: date | str) -> None:
    assert day(text, form) == value


@pytest.mark.parametrize("text", ["12/13/2010", "13/12/2010"])
def test_a_number_above_twelve_is_the_day(text: str) -> None:
    assert day(text, None) == date(2010, 12, 13)


def test_numbers_of_a_json_list_are_texts() -> None:
    assert listed('[5, "6", ""]') == ["5", "6"]


def test_an_identifier_of_a_json_object_may_have_no_type() -> None:
    assert user_ids('[{"identifier": "7"}, {"type": "LDAP"}]') == [":7"]
