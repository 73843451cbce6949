import pytest

from timeback_async.sync._reading.alignment import is_aligned


@pytest.mark.parametrize(
    ("text", "is_day"), [("2010-04-01", True), ("4/2/2010", True), ("Canary", False), ("05", False)]
)
def test_a_date_is_in_its_column(text: str, is_day: bool) -> None:
    assert is_aligned({"birthDate": text}, ()) == is_day
