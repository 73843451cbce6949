import pytest

from timeback_async.sync._reading.lists import UNKNOWN, listed, listed_ids, user_ids


@pytest.mark.parametrize(
    ("text", "elements"),
    [
        ("", []),
        ("a", ["a"]),
        ("a,b", ["a", "b"]),
        (" a , b ,", ["a", "b"]),
        (",", []),
        ("[]", []),
        ("o'hara@x", ["o'hara@x"]),
        ("a,NULL", ["a"]),
        ("a:1,b c", ["a:1", "b c"]),
        (
            "{3F2504E0-4F89-11D3-9A0C-0305E82C3301}, {3f2504e0-4f89-11d3-9a0c-0305e82c3302}",
            ["{3F2504E0-4F89-11D3-9A0C-0305E82C3301}", "{3f2504e0-4f89-11d3-9a0c-0305e82c3302}"],
        ),
    ],
)
def test_a_list_is_read_in_each_form_of_the_standard(text: str, elements: list[str]) -> None:
    assert listed(text) == (elements, "")


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
    ("text", "elements"),
    [
        ('["a","b,c",""]', ["a", "b,c"]),
        ('["p1",null]', ["p1"]),
        ('[{"sourcedId":"o1"},{"sourcedId":"o2","type":"org"}]', ["o1", "o2"]),
        ('{"sourcedId":"o1"}', ["o1"]),
        ("['o1', 'o2']", ["o1", "o2"]),
        ("['o1' 'o2']", ["o1", "o2"]),
        ("('o1',)", ["o1"]),
        ("{'o1', 'o2'}", ["o1", "o2"]),
        ("[o1, None]", ["o1"]),
        ("array(['o1', 'o2'])", ["o1", "o2"]),
        ("{o1}", ["o1"]),
        ("{o1,o2}", ["o1", "o2"]),
        ('{"o1",NULL}', ["o1"]),
        ("o1;o2", ["o1", "o2"]),
        ("o1; o2;", ["o1", "o2"]),
        ("o1|o2", ["o1", "o2"]),
        ('"o1","o2"', ["o1", "o2"]),
        ("'o1','o2'", ["o1", "o2"]),
        ("(o1)", ["o1"]),
        ('="o1,o2"', ["o1", "o2"]),
        ('="o1",="o2"', ["o1", "o2"]),
        ("['']", []),
        ("[o1, -]", ["o1"]),
        ("{o1,NaT}", ["o1"]),
    ],
)
def test_a_list_is_read_in_the_notations_of_programs(text: str, elements: list[str]) -> None:
    assert listed(text) == (elements, "value-form")


@pytest.mark.parametrize(
    "text",
    [
        "[a",
        "a]",
        "[a)",
        "['o1''o2']",
        "['o1'",
        "[[1],[2]]",
        '[{"id":"o1"}]',
        '[{"sourcedId":["o1"]}]',
        "[true]",
        "[1.5]",
        '{"o1":1}',
        "<o1>",
        "<o1,o2>",
        'a:2:{i:0;s:2:"o1";i:1;s:2:"o2";}',
        "1;#o1;#2;#o2",
        "[o1 o2]",
        "{a:1;b:2}",
        "[" * 10_000,
        "[a,,b]",
        r'{"a\"b"}',
    ],
)
def test_a_list_in_an_unknown_notation_has_no_elements(text: str) -> None:
    assert listed(text) == ([], UNKNOWN)


@pytest.mark.parametrize(
    ("text", "ids", "codes"),
    [
        ("p1", ["p1"], []),
        ("p1, p2", ["p1", "p2"], []),
        ('="00123"', ["00123"], ["id-mended"]),
        ("\u200bp1,p2", ["p1", "p2"], ["id-mended"]),
        ("p1,1.0E+11", ["p1"], ["id-damaged"]),
        ("['p1', '1-Mar']", ["p1"], ["value-form", "id-damaged"]),
        ("p:1", ["p:1"], ["id-unusual"]),
        ("[p1", [], ["list-unknown"]),
        ("", [], []),
    ],
)
def test_ids_in_a_list_are_mended_or_left_out(text: str, ids: list[str], codes: list[str]) -> None:
    found: list[str] = []

    assert listed_ids(text, found.append) == ids
    assert found == codes


def test_numbers_of_a_json_list_are_texts() -> None:
    assert listed('[5, "6", ""]') == (["5", "6"], "value-form")


def test_an_identifier_of_a_json_object_may_have_no_type() -> None:
    assert user_ids('[{"identifier": "7"}, {"type": "LDAP"}]') == [":7"]
