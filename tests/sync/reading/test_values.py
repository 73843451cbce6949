from datetime import date

import pytest

from timeback_async.sync._reading.values import (
    AMBIGUOUS,
    INVALID,
    NO_DAY,
    address,
    boolean,
    day,
    is_address,
)


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
    "text", ["ada@canary.example", "o'hara+x@mail", "zoë@käse.example", "a.b_c@x-y.example"]
)
def test_an_email_address_is_one(text: str) -> None:
    assert is_address(text)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("mailto:ada@canary.example", "ada@canary.example"),
        ("MAILTO:ada@canary.example?subject=x", "ada@canary.example"),
        ("smtp: ada@canary.example", "ada@canary.example"),
        ("E-Mail: ada@canary.example", "ada@canary.example"),
        ("<ada@canary.example>", "ada@canary.example"),
        ('"Byron, Ada" <ada@canary.example>', "ada@canary.example"),
        ("[Ada](mailto:ada@canary.example)", "ada@canary.example"),
        ("ada@canary.example; b@canary.example", ""),
        ("ada@canary.example (work)", ""),
        ("ada@canary.example.", ""),
        ("a b@canary.example", ""),
        ("a@b@canary.example", ""),
        ("a@b <c@canary.example>", ""),
    ],
)
def test_an_email_address_is_taken_out_of_a_link_alone(text: str, found: str) -> None:
    assert not is_address(text)
    assert address(text) == found


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
        "2010-4-21",
        "2010.04.21",
        "4/21/2010 12:00:00 AM",
        "21-Apr-2010",
        "21 April 2010",
        "Apr 21, 2010",
        "APRIL 21 2010",
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
        "2010-0421",
        "2010-4-31",
        "21 avril 2010",
        "31 April 2010",
        "21-Apr-10",
        "4/21-2010",
        "40289",
    ],
)
def test_what_is_no_date_is_not_read(text: str) -> None:
    assert day(text, None) == INVALID


@pytest.mark.parametrize(
    "text",
    [
        "0000-00-00",
        "0000-00-00 00:00:00",
        "00/00/0000",
        "00.00.0000",
        "0/0/0000",
        "00000000",
        "1900-01-00",
        "1/0/1900",
        "01/00/1900",
        "1900-01-01",
        "1900-01-01T00:00:00.000Z",
        "0001-01-01",
        "1899-12-30",
        "1753-01-01",
        "0",
    ],
)
@pytest.mark.parametrize("form", [None, "%m/%d/%Y"])
def test_the_zero_of_a_program_is_no_date(text: str, form: str | None) -> None:
    assert day(text, form) == NO_DAY


@pytest.mark.parametrize("text", ["1900-01-02", "2000-01-01", "2000-10-10", "1901-01-01"])
def test_a_date_with_zeros_is_a_date(text: str) -> None:
    assert day(text, None) == date.fromisoformat(text)


@pytest.mark.parametrize(
    ("text", "form", "value"),
    [
        ("4/2/2010", "%m/%d/%Y", date(2010, 4, 2)),
        ("4/2/2010", "%d/%m/%Y", date(2010, 2, 4)),
        ("2010-04-02", "%d/%m/%Y", date(2010, 4, 2)),
        ("4.2.2010", "%d/%m/%Y", INVALID),
        ("21/4/2010", "%m/%d/%Y", INVALID),
    ],
)
def test_a_form_that_was_told_is_kept_to(text: str, form: str, value: date | str) -> None:
    assert day(text, form) == value


@pytest.mark.parametrize("text", ["12/13/2010", "13/12/2010"])
def test_a_number_above_twelve_is_the_day(text: str) -> None:
    assert day(text, None) == date(2010, 12, 13)
