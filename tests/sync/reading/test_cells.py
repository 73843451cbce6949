from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET

from tests.support.rosters import adult, child, codes, read, records, school, wrong
from timeback_async import Student, User
from timeback_async.sync._reading.cells import is_no_value, is_plain, mended


@pytest.mark.parametrize(
    ("text", "meant", "code"),
    [
        (" Ada ", "Ada", ""),
        ("O'Hara", "O'Hara", ""),
        ("Zoë", "Zoë", ""),
        ("Zoe\u0308", "Zoe\u0308", ""),
        ("अर्\u200dय", "अर्\u200dय", ""),
        ("李小龍", "李小龍", ""),
        ("Ângela", "Ângela", ""),
        ('Robert "Bob"', 'Robert "Bob"', ""),
        ("\u200bAda", "Ada", "text-unseen"),
        ("A\u00adda\ufeff", "Ada", "text-unseen"),
        ("\u202eAda\u202c", "Ada", "text-unseen"),
        ('"Ada"', "Ada", "text-quoted"),
        ('"Ada "', "Ada", "text-quoted"),
        ("“Ada”", "Ada", "text-quoted"),
        ("A\0da", "Ada", "text-control"),
        ("By\aron", "Byron", "text-control"),
        ("Ada\tLee", "Ada Lee", "text-control"),
        ("O\x92Hara", "O\u2019Hara", "text-control"),
        ("Ada\u2028", "Ada", ""),
        ("Mu\ufffdoz", "Mu\ufffdoz", "text-lost"),
        ("JosÃ©", "JosÃ©", "text-garbled"),
        ("Oâ€™Hara", "Oâ€™Hara", "text-garbled"),
        ("\u201cJosÃ©\u201d", "JosÃ©", "text-garbled"),
        ("'Ada'", "Ada", "text-quoted"),
        ("'007", "007", "text-quoted"),
        ("'(null)", "(null)", "text-quoted"),
        ('\ufeff"Ada"', "Ada", "text-unseen"),
        ("'t Hooft", "'t Hooft", ""),
        ('="007"', "007", "text-quoted"),
        ('"', "", "text-quoted"),
        (r"Robert \"Bob\"", 'Robert "Bob"', "text-quoted"),
        (r"O\'Hara\, Jr.", "O'Hara, Jr.", "text-quoted"),
        ("\u201eAda\u201c", "Ada", "text-quoted"),
        ("\u00abAda\u00bb", "Ada", "text-quoted"),
        ("\u2039Ada\u203a", "Ada", "text-quoted"),
        ("Ac?ive", "Ac?ive", "text-lost"),
        ("García", "García", ""),
        ("GarcÃ\u00ada", "GarcÃ\u00ada", "text-garbled"),
        ("JosÃ\u200b©", "JosÃ©", "text-garbled"),
        ("Ng&#39;ang&#x27;a", "Ng'ang'a", "text-html"),
        ("Ada &amp; Lee", "Ada & Lee", "text-html"),
        ("Ada<br/>", "Ada", "text-html"),
        ("Err:502", "", "text-formula"),
        ("Ada & Lee; Byron", "Ada & Lee; Byron", ""),
        ("O&amp;#39;Hara &amp;amp; Lee", "O'Hara & Lee", "text-html"),
        ("<b>Ada</b><br />Lee", "Ada Lee", "text-html"),
        ('<span class="x">Ada</SPAN>', "Ada", "text-html"),
        ("&lt;b&gt;Ada&lt;/b&gt;", "Ada", "text-html"),
        ("Ada <Lee>", "Ada <Lee>", ""),
        ("''Ada''", "Ada", "text-quoted"),
        ("=PROPER(A2)", "", "text-formula"),
        ("1,23457E+11", "", "text-formula"),
        ("1.5E10", "", "text-formula"),
        ("#REF!", "", "text-formula"),
        ("#NAME?", "", "text-formula"),
        ("#N/A", "", "text-formula"),
        ("########", "", "text-formula"),
        ("A\u061cda", "Ada", "text-unseen"),
        ("5E10", "5E10", ""),
        ("#7", "#7", ""),
    ],
)
def test_a_cell_is_what_a_reader_sees(text: str, meant: str, code: str) -> None:
    assert mended(text) == (meant, code)


@given(st.text())
def test_what_is_plain_is_not_mended(text: str) -> None:
    if is_plain(text):
        assert mended(text) == (text.strip(), "")


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        *((text, "Zoe") for text in ("\u201cZoe\u201d", "\u201eZoe\u201c", "\u00abZoe\u00bb")),
        ("\u2039Zoe\u203a", "Zoe"),
        ("<br>Zoe", "Zoe"),
        ("Zoe\\, Jr.", "Zoe, Jr."),
        ("Err:502", ""),
    ],
)
def test_signs_of_what_needs_mending_are_seen(text: str, meant: str) -> None:
    assert not is_plain(text)
    assert mended(text)[0] == meant


@given(st.text(), st.text())
def test_what_is_mended_stays_so(text: str, more: str) -> None:
    found, code = mended(text)

    again = mended(found)
    assert again[0] == found or code == "text-quoted"


@pytest.mark.parametrize(
    ("field", "text", "is_none"),
    [
        *(
            (field, text, True)
            for field in ("email", "grades", "status", "birthDate", "sourcedId", "phone")
            for text in ("NULL", "null", "Null", r"\N", "None", "NaN", "nan", "(null)",
                         "n/a", "-", "undefined")
        ),
        *(
            (field, text, True)
            for field in ("middleName", "username", "preferredGivenName", "pronouns")
            for text in ("NULL", "null", "None", "N/A", r"\N", "nan", "-", "--", ".")
        ),
        *(
            (field, text, False)
            for field in ("middleName", "username", "givenName", "familyName")
            for text in ("Null", "Nan", "Nil")
        ),
        *((field, text, False) for field in ("givenName", "familyName") for text in ("-", ".")),
        *((field, r"\N", True) for field in ("givenName", "familyName")),
        *((field, "NULL", False) for field in ("givenName", "familyName")),
    ],
)  # fmt: skip
def test_a_word_for_nothing_is_none_except_where_it_may_be_a_name(
    field: str, text: str, is_none: bool
) -> None:
    assert is_no_value(field, text) == is_none


def test_words_for_nothing_are_blank_and_told(tmp_path: Path) -> None:
    people = [
        child("s-1", middleName="NULL", email="NULL", grades="NULL", status="NULL", phone="NULL"),
        child("s-2", grades='["NULL"]', agents="NULL"),
        adult("u-1", familyName="Null", givenName="Nan", orgSourcedIds="school"),
        adult("u-2", familyName="NULL"),
        adult("NULL"),
    ]

    roster = read(tmp_path, school(*people))

    one, two, parent, other = records(roster).values()
    assert isinstance(one, Student)
    assert isinstance(two, Student)
    assert isinstance(parent, User)
    assert isinstance(other, User)
    assert one.status == "active"
    assert one.middle_name is one.email is one.phone is UNSET
    assert one.grades == two.grades == []
    assert (parent.given_name, parent.family_name, other.family_name) == ("Nan", "Null", "NULL")
    assert [finding.split()[0] for finding in wrong(roster)] == ["id-missing", "name-doubtful"]
    assert codes(roster)["value-none"] == 7


def test_a_required_value_that_is_lost_is_missing(tmp_path: Path) -> None:
    roster = read(tmp_path, school(child("s-1", familyName="#N/A"), child("s-2")))

    assert list(records(roster)) == ["s-2"]
    assert codes(roster) == {"value-missing": 1, "text-formula": 1}


@pytest.mark.parametrize("field", ["status", "enabledUser", "role", "username"])
@pytest.mark.parametrize("text", ["#REF!", "=A2", "1.2E+05"])
def test_a_lost_value_that_decides_something_leaves_its_row_out(
    tmp_path: Path, field: str, text: str
) -> None:
    roster = read(tmp_path, school(child("s-1", **{field: text}), child("s-2")))

    assert list(records(roster)) == ["s-2"]
    assert set(codes(roster)) <= {"value-invalid", "role-unknown", "username-none"}


def test_a_username_that_is_lost_costs_a_user_the_username_alone(tmp_path: Path) -> None:
    roster = read(tmp_path, school(adult(username="#REF!")))

    (found,) = roster.records()
    assert isinstance(found, User)
    assert found.username is UNSET
    assert codes(roster) == {"value-left-out": 1}


def test_a_lost_value_that_is_optional_costs_itself(tmp_path: Path) -> None:
    cells = {"identifier": "1.2E+05", "middleName": "=A2", "phone": "########", "grades": "#N/A"}

    roster = read(tmp_path, school(child("s-1", **cells)))

    (found,) = roster.records()
    assert isinstance(found, Student)
    assert found.identifier is found.middle_name is found.phone is UNSET
    assert codes(roster) == {"text-formula": 4, "header-order": 1}


def test_a_damaged_cell_is_told_by_its_field_and_never_quoted(tmp_path: Path) -> None:
    people = [
        child("s-1", givenName="A\0da", familyName="Mu\ufffdoz"),
        child("s-2", givenName=' "Ada" '),
        child("s-3", email="\u200bcanary@canary.example"),
    ]

    roster = read(tmp_path, school(*people))

    one, two, three = records(roster).values()
    assert isinstance(one, Student)
    assert isinstance(two, Student)
    assert isinstance(three, Student)
    assert (one.given_name, two.given_name) == ("Ada", "Ada")
    assert three.email == "canary@canary.example"
    findings = [str(each) for cause in roster.findings.causes for each in cause.examples]
    assert {tuple(finding.split(": ")[:2]) for finding in findings} == {
        ("users.csv:4", "email"),
        ("users.csv:3", "givenName"),
        ("users.csv:2", "givenName"),
        ("users.csv:2", "familyName"),
    }
    assert "Ada" not in str(findings)


@pytest.mark.parametrize("own", ['="s-1"', "'s-1", "\u200bs-1", "s-1\ufeff", "s\u00ad-1"])
def test_a_damaged_id_is_the_same_person_in_each_file(tmp_path: Path, own: str) -> None:
    same = {"username": "canary", "givenName": "Canary", "email": ""}
    plain = school(
        child("s-1", "u-1", **same),
        adult("u-1"),
        demographics=[{"sourcedId": "s-1", "birthDate": "2010-04-01"}],
    )
    damaged = school(
        child(own, "u-1", **same),
        adult("u-1", agents=own),
        demographics=[{"sourcedId": own, "birthDate": "2010-04-01"}],
    )

    roster = read(tmp_path / "damaged", damaged)

    assert records(roster) == records(read(tmp_path / "plain", plain))
    assert codes(roster)["id-mended"] == 3


@pytest.mark.parametrize("own", ["1.00001E+11", "123.0", "1-Mar", "s-1,s-2", "['s-1']", "s\x011"])
def test_an_id_that_is_lost_leaves_its_row_out_and_no_absence_is_judged(
    tmp_path: Path, own: str
) -> None:
    roster = read(tmp_path, school(child(own), child("s-2")))

    assert list(records(roster)) == ["s-2"]
    assert codes(roster)["id-damaged"] == 1
    assert roster.sources["users.csv"].unreadable == roster.count.left_out == 1
    assert own not in str(wrong(roster))


def test_an_agent_that_is_lost_is_told_and_the_others_are_linked(tmp_path: Path) -> None:
    people = [child("s-1", "u-1,1.0E+11"), child("s-2", "[u-1"), adult("u-1")]

    roster = read(tmp_path, school(*people))

    assert list(records(roster)) == ["s-1", "s-2", "u-1", "s-1+u-1"]
    assert codes(roster) == {"id-damaged": 1, "list-unknown": 1}
    assert roster.sources["users.csv"].has_unreadable_agents
    assert {each.line for each in roster.left_out()} == {2, 3}
