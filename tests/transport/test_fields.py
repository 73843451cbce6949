"""The header fields of the direct lane, as a mapping."""

import pytest

from timeback_async._transport.fields import Fields

RAW = [(b"Retry-After", b"5"), (b"X-A", b"1 \t"), (b"x-a", b"2"), (b"Date", b"\xc3\xbc\xff")]


@pytest.mark.parametrize("name", ["Retry-After", "retry-after", "RETRY-AFTER"])
def test_a_field_is_found_in_any_case(name: str) -> None:
    assert Fields(RAW)[name] == "5"
    assert name in Fields(RAW)


def test_the_first_of_several_is_found_without_the_space_around_it() -> None:
    assert Fields(RAW)["x-a"] == "1"


@pytest.mark.parametrize("name", ["X-B", "", "\xfc", "Retry"])
def test_a_field_that_is_not_there_is_a_key_error(name: str) -> None:
    with pytest.raises(KeyError):
        Fields(RAW)[name]
    assert Fields(RAW).get(name) is None
    assert name not in Fields([])


def test_bytes_that_are_no_text_are_kept() -> None:
    assert Fields(RAW)["date"] == "\xfc\udcff"


def test_all_of_one_name_are_found() -> None:
    assert Fields(RAW).getall("X-A", []) == ["1", "2"]
    assert Fields(RAW).getall("X-B", []) == []


def test_fields_come_in_their_order_as_they_were_written() -> None:
    once = Fields([*RAW[:2], RAW[3]])

    assert list(once) == ["Retry-After", "X-A", "Date"]
    assert len(once) == 3
    assert dict(Fields([])) == {}


def test_fields_show_nothing_of_what_is_in_them() -> None:
    assert "canary" not in repr(Fields([(b"Retry-After", b"canary")]))
