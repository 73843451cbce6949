"""One id in its other forms."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from timeback_async.sync._planning.id_forms import change_of_form, other_forms

GUID = "0f8fad5b-d9cb-469f-a165-70867728950e"


@pytest.mark.parametrize(
    ("before", "now", "words"),
    [
        ("00123", "123", "lost their leading zeros"),
        ("123", "0000123", "gained leading zeros"),
        ("000", "0", "lost their leading zeros"),
        ("00123", "123.0", "lost their leading zeros"),
        ("123", "123.0", "gained a .0"),
        ("123.0", "123", "lost their .0"),
        ("ab-1", "AB-1", "changed their capitals"),
        ("ab-1", "Ab-1", "changed their capitals"),
        (f"{{{GUID}}}", GUID, "lost their braces"),
        (GUID, f"{{{GUID}}}", "gained braces"),
        (f"{{{GUID}}}", GUID.upper(), "changed their capitals"),
        (GUID, GUID.replace("-", ""), "lost their hyphens"),
        (GUID.replace("-", "").upper(), GUID, "gained hyphens"),
    ],
)
def test_what_exports_and_spreadsheets_make_of_an_id_is_found(
    before: str, now: str, words: str
) -> None:
    assert before in other_forms(now)
    assert change_of_form(before, now) == words


@pytest.mark.parametrize(
    ("one", "other"), [("s-1", "s-2"), ("123", "124"), ("a.0", "a"), ("1200", "12"), ("", "0")]
)
def test_other_ids_are_other_ids(one: str, other: str) -> None:
    assert one not in other_forms(other)
    assert other not in other_forms(one)


@given(st.integers(0, 10**8), st.integers(1, 12), st.integers(1, 12))
def test_a_number_is_found_however_many_zeros_are_before_it(
    number: int, one: int, other: int
) -> None:
    before, now = str(number).zfill(one), str(number).zfill(other)

    assert (before in other_forms(now)) == (before != now)


@given(st.text(max_size=40))
def test_an_id_is_never_another_form_of_itself_and_has_few(text: str) -> None:
    forms = other_forms(text)

    assert text not in forms
    assert len(forms) == len(set(forms)) <= 60
