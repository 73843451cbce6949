import pytest
from hypothesis import given
from hypothesis import strategies as st

from timeback_async.sync._reading.ids import is_usual, read_id

USUAL = [
    "s1",
    "00123",
    "1E5",
    "12E45",
    "5e3a9f00",
    "a.b-c_d/e@f",
    "3F2504E0-4F89-11D3-9A0C-0305E82C3301",
    "1.2.3",
    "1-2-3",
    "12-11",
    "Mar-y",
    "May",
    "2024-10-12",
    "123456789012345678901",
]


@pytest.mark.parametrize("text", USUAL)
def test_an_id_of_the_standard_is_itself(text: str) -> None:
    assert is_usual(text)
    assert read_id(text) == (text, "")


@pytest.mark.parametrize(
    "text",
    [
        '="00123"',
        '"00123"',
        "'00123",
        "'00123'",
        "\u200b00123",
        "00\u00ad123",
        "\ufeff00123",
        "00123\u200e",
        "\u061c00123",
        "\u2060\u00a000123",
        '="\u200b00123"',
        "00\u061c123",
        "00123\u034f",
        "“00123”",
        "„00123“",
        "«00123»",
        "\u201800123\u2019",
        "\u201c\u00ab00123\u00bb\u201d",
        "\u203900123\u203a",
    ],
)
def test_what_stands_around_an_id_is_removed(text: str) -> None:
    assert read_id(text) == ("00123", "id-mended")


@pytest.mark.parametrize(
    "text",
    [
        "1.00001E+11",
        "1,00001E+11",
        "1E+11",
        "1e+05",
        "1.5E10",
        "1.0e-5",
        "-1.2E+7",
        "123.0",
        "123.00",
        "123,0",
        "1,234,567",
        "1\u00a0234",
        "1 234 567",
        "1-Mar",
        "01-mar",
        "1-March-2026",
        "Mar-01",
        "Mar 1",
        "2026-Mar-01",
        "3/1/2026",
        "01/03/26",
        "3/1/2026 0:00",
        "2026-03-01 00:00:00",
        "2026-03-01T00:00:00.000Z",
        "####",
        "=00123",
        '="00123',
        '=T("00123")',
        "s1,s2",
        "s1;s2",
        "s1|s2",
        "['s1']",
        "<s1>",
        "s\x001",
        "s\t1",
        "s\ufffd1",
        "s1'",
        "'",
        '""',
        "\u200b",
        's"1',
        "s1#1",
        "s1?x",
        "https://sis.example/s1",
        r"a\b",
        "%2e%2e",
        "(s1)",
        "{s1}",
        "Err:502",
        "\uff11\uff12",
        "\u0405ak",
        "\u0661\u0662\u0663",
        "李1",
        "(7)",
        "{7}",
        "{3F2504E0}",
        "s1:",
        "\u201cnull\u201d",
        "'n/a'",
        "s1 \u201cx\u201d",
        "s1*",
        "s1 (new)",
    ],
)
def test_an_id_whose_original_is_not_certain_is_lost(text: str) -> None:
    assert read_id(text) == ("", "id-damaged")


@pytest.mark.parametrize("text", ["..", ".", "../1", "a/../b", "a/./1", "a b/..", "\u200b.."])
def test_an_id_that_leads_elsewhere_in_an_address_is_none(text: str) -> None:
    assert read_id(text) == ("", "id-invalid")


@pytest.mark.parametrize(
    "text",
    ["a:1", "a b", "{3F2504E0-4F89-11D3-9A0C-0305E82C3301}", "Zoë", "o'hara@x", "éa-1", "李龍"],
)
def test_other_ids_are_sent_to_be_checked(text: str) -> None:
    assert read_id(text) == (text, "id-unusual")


@given(st.text(min_size=1))
def test_a_mended_id_needs_no_mending(text: str) -> None:
    found, code = read_id(text)

    if found:
        assert read_id(found) == (found, "" if is_usual(found) else "id-unusual")
    else:
        assert code in {"id-damaged", "id-invalid"}
