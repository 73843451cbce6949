# ruff: noqa: RUF001
"""What a person's name, birth date, phone number or e-mail address can look like in an error."""

import html
import json
import pickle
import re
import unicodedata
from datetime import date
from http import HTTPStatus
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from timeback_async import Response
from timeback_async._wire.ordinary import AMBIGUOUS, PLAIN
from timeback_async._wire.private import personal_values
from timeback_async._wire.status import api_error
from timeback_async.errors import ApiError

STUDENT = {
    "sourcedId": "s-17",
    "status": "active",
    "enabledUser": "true",
    "username": None,
    "grades": ["05"],
    "primaryOrg": {"sourcedId": "org-1", "type": "org"},
}


def error_of(words: str, **person: Any) -> ApiError:
    sent = json.dumps({"student": STUDENT | person}).encode()
    answer = Response(409, {}, json.dumps({"message": words}).encode())
    return api_error(answer, sent, "ours-1")


def said(words: str, given_name: str = "", family_name: str = "", **person: Any) -> str:
    return error_of(words, givenName=given_name, familyName=family_name, **person).detail


def shown(error: ApiError) -> str:
    """Return the words that a log or a screen can show of an error, also after pickling it."""
    for each in (error, pickle.loads(pickle.dumps(error))):  # noqa: S301
        assert each.args == (error.status, error.code, error.detail, "ours-1", None)
        assert repr(each) == f"{type(error).__name__}{each.args}"
        assert str(each).startswith(f"HTTP {error.status}: {error.code}")
        assert str(each).endswith((error.detail or "see error.words", "no detail given"))
    return f"{error.code} {error.detail}"


# -- names

NAMES = {
    "English": ("Ada", "Lovelace"),
    "Irish": ("Sinéad", "O'Brien"),
    "French": ("Jean-Luc", "Lefèvre"),
    "French, with a ligature": ("Cœur", "Bœuf"),
    "German": ("Jörg", "Weiß"),
    "Spanish": ("Ana María", "de la Cruz"),
    "Polish": ("Łukasz", "Wiśniewski"),
    "Turkish": ("I\u015f\u0131l", "Y\u0131ld\u0131z"),
    "Vietnamese": ("Ngọc Ánh", "Nguyễn"),
    "Hawaiian": ("Ka\u02bbiulani", "Kealoha"),
    "Icelandic": ("Þórdís", "Guðjónsdóttir"),
    "Czech": ("Ľudmila", "Dvořáková"),
    "Romanised Chinese": ("Jo", "Li"),
    "Chinese": ("芳", "王"),
    "Japanese": ("さくら", "佐藤"),
    "Katakana": ("ガブリエル", "ポッター"),
    "Korean": ("민준", "김"),
    "Russian": ("Алёна", "Йошкина"),
    "Greek": ("Ελένη", "Παπαδοπούλου"),
    "Arabic": ("مُحَمَّد", "الأحمد"),
    "Hebrew": ("נֹעַם", "כהן"),
    "Hindi": ("प्रिया", "शर्मा"),
    "Thai": ("สมชาย", "ใจดี"),
    "Armenian": ("Անի", "Սարգսյան"),
    "Georgian": ("ნინო", "ბერიძე"),
}


def without_accents(text: str) -> str:
    plain = unicodedata.normalize("NFKD", text)
    return "".join(c for c in plain if not unicodedata.combining(c))


FORMS = {
    "as it is": lambda name: name,
    "composed": lambda name: unicodedata.normalize("NFC", name),
    "decomposed": lambda name: unicodedata.normalize("NFD", name),
    "compatible": lambda name: unicodedata.normalize("NFKC", name),
    "upper": str.upper,
    "lower": str.lower,
    "casefold": str.casefold,
    "without accents": without_accents,
    "without accents, upper": lambda name: without_accents(name).upper(),
    "JSON": lambda name: json.dumps(name),
    "JSON in JSON": lambda name: json.dumps(json.dumps(name)),
    "HTML": lambda name: name.encode("ascii", "xmlcharrefreplace").decode().replace("'", "&#39;"),
    "HTML by name": lambda name: html.escape(name).replace("é", "&eacute;").replace("ö", "&ouml;"),
    "HTML twice": lambda name: html.escape(name.encode("ascii", "xmlcharrefreplace").decode()),
    "URL": quote,
    "form": quote_plus,
    "Python": lambda name: repr(name.encode()),
    "UTF-8 read as Latin-1": lambda name: name.encode().decode("latin-1"),
    "UTF-8 read as Windows": lambda name: name.encode().decode("cp1252", "replace"),
    "question marks": lambda name: name.encode("ascii", "replace").decode(),
    "two question marks": lambda name: name.encode().decode("ascii", "replace").replace("�", "?"),
    "curly apostrophe": lambda name: name.replace("'", "’"),
    "no apostrophe": lambda name: name.replace("'", "").replace("-", " "),
    "no accents, no signs": lambda name: re.sub(r"\W", "", without_accents(name)),
    "full width": lambda name: "".join(
        chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in name
    ),
    "quoted": lambda name: f"'{name}'",
    "possessive": lambda name: f"{name}'s",
    "plural": lambda name: f"{name}s",
    "with a particle": lambda name: f"{name}이",
    "with a number": lambda name: f"{name}12",
    "after an escaped line end": lambda name: f"\\n{name}",
}
ORDERS = {
    "given": "{given}",
    "family": "{family}",
    "given family": "{given} {family}",
    "family, given": "{family}, {given}",
    "family given": "{family}{given}",
    "joined": "{given}{family}",
    "dotted": "{given}.{family}",
    "underscore": "{given}_{family}",
    "hyphen": "{family}-{given}",
    "middle dot": "{given}・{family}",
}


def key(text: str) -> str:
    """Return letters alone, in one form: written for these tests, without the code's tables."""
    plain = unicodedata.normalize("NFKD", text.casefold().replace("ı", "i").replace("ł", "l"))
    return "".join(c for c in plain if c.isalnum())


def assert_unseen(text: str, name: str) -> None:
    """Assert that no word of a name can be seen: a short Latin one as a word, others anywhere."""
    words = {key(word) for word in re.split(r"[\s'’-]+", name)} - {""}
    tokens = {key(token) for token in re.split(r"[\W\d_]+", text)}
    for word in words:
        if word.isascii() and len(word) <= 3:
            assert word not in tokens, (word, text)
        else:
            assert word not in key(text), (word, text)


@pytest.mark.parametrize("order", ORDERS.values(), ids=ORDERS)
@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_no_name_of_any_language_is_seen_in_any_form(form: Any, order: str) -> None:
    for given_name, family_name in NAMES.values():
        name = form(order.format(given=given_name, family=family_name))
        error = error_of(
            f"cannot save {name}: exists", givenName=given_name, familyName=family_name
        )

        text = shown(error)
        assert_unseen(text, f"{given_name} {family_name}")
        assert len(name) <= 3 or name not in text
        assert "cannot save" in text


@pytest.mark.parametrize(
    ("given_name", "family_name", "words", "left"),
    [
        ("芳", "王", "student 王芳 already exists", "student … already exists"),
        ("芳", "王", "student 王 already exists", "student … already exists"),
        ("민준", "김", "김민준 학생이 이미 있습니다 (code 7)", "… (code 7)"),
        ("Renée", "Dubois", "Rene\u0301e Dubois exists", "… exists"),
        ("Anna Maria", "Bianchi", "user Maria exists", "user … exists"),
        ("Juan", "de la Cruz", "user Cruz exists", "user … exists"),
        ("Juan", "de la Cruz", "user DeLaCruz exists", "user … exists"),
        ("Jo", "Li", "jli, lijo and JoLi are taken", "… and … are taken"),
        ("Jo", "Li", "joined list of jobs", "joined list of jobs"),
        ("Ada", "Vanderberg", "Ada van der Berg exists", "… exists"),
        ("Ada", "OBrien", "user O'Brien exists", "user … exists"),
        ("Mary", "Byron", "maryb, mbyron1 and byron_m are taken", "… and … are taken"),
        ("Mary", "Byron", "user Byrom or Myron or Byrno exists", "user … or … or … exists"),
        ("Mary", "Wisniewski", "too long: 'Wisniew…' and marywis", "too long: '…' and …"),
        ("Jörg", "Müller", "user Joerg Mueller exists", "user … exists"),
        ("Joerg", "Mueller", "user Jörg Müller exists", "user … exists"),
        ("Soren", "Kjaer", "user Søren Kjær exists", "user … exists"),
        ("Zoë", "Fu", "M?ller, Zo? and Zo\ufffd exist", "… and … exist"),
        ("Li", "Wu", "studentLi exists", "… exists"),
        ("Ada", "Byron", f"key {'x' * 49} is bad", "key … is bad"),
        ("Ada", "Byron", "byron.example.com/?q=ada%2Bbyron", "….example.com/?q=…"),
        ("Ada", "Byron", "Byr\u200bon and By\xadron", "… and …"),
    ],
)
def test_a_name_goes_and_the_rest_stays(
    given_name: str, family_name: str, words: str, left: str
) -> None:
    assert said(words, given_name, family_name) == left


@pytest.mark.parametrize(
    ("given_name", "family_name", "words", "left"),
    [
        ("Will", "May", "user May exists", "user … exists"),
        ("Will", "May", "MAY exists", "… exists"),
        (
            "Will",
            "May",
            "it will end, and may be tried again",
            "it will end, and may be tried again",
        ),
        ("Will", "May", "will may exists", "… exists"),
        ("Will", "May", "may.will and willmay exist", "… and … exist"),
        ("An", "So", "An exists", "… exists"),
        ("An", "So", "must be an array", "must be an array"),
        ("Ada", "Grade", "Grade is invalid", "Grade is invalid"),
        ("Ada", "Grade", "Ada Grade is invalid", "… is invalid"),
        ("Ada", "Dent", "Student of the Dent family", "Student of the … family"),
    ],
)
def test_a_name_that_is_an_ordinary_word_is_one_where_it_looks_like_a_name(
    given_name: str, family_name: str, words: str, left: str
) -> None:
    assert said(words, given_name, family_name) == left


REAL_WORDS = [
    "Student already exists",
    "A user with this username already exists.",
    "sourcedId s-17 does not exist in org-1",
    "The request body is invalid: grades must be an array of strings",
    "grades: unknown grade '13'; it may be one of KG, 01, 02, 12",
    "primaryOrg.sourcedId: Field required",
    "body.student.birthDate: Input should be a valid date in the format YYYY-MM-DD",
    "email: value is not a valid email address",
    "enabledUser must be one of: true, false",
    'duplicate key value violates unique constraint "users_username_key"',
    'null value in column "family_name" violates not-null constraint',
    "Cannot read properties of undefined (reading 'sourcedId')",
    "502 Bad Gateway",
    "504 Gateway Time-out",
    "Access denied",
    "Internal Server Error",
    "upstream connect error or disconnect/reset before headers. reset reason: overflow",
    "Rate limit exceeded, retry in 30 seconds",
    "Too Many Requests: 100 requests per minute",
    "The access token expired",
    "Insufficient scope: roster.createput is required",
    "User is not authorized to access this resource with an explicit deny",
    "Request entity too large, the limit is 1048576 bytes",
    "No such org: org-1",
    "org 0b6f1a3e-5d2c-4f7a-9b1e-ada0ed0de0fa not found",
    "Foreign key constraint failed on the field: `org_id`",
    "Invalid value for parameter 'limit': must be less than or equal to 100",
    "could not serialize access due to concurrent update",
    "deadlock detected",
    "Timeout: the database did not answer within 10 s (attempt 3/5)",
    "Service Unavailable, please try again later",
    "Unexpected token < in JSON at position 0",
    "String should have at least 1 character",
    "Roles[0].org is not linked to the user's district",
    "birthDate must be before 2026-01-01T00:00:00Z",
    "familyName is required; givenName must not be empty",
    "Validation failed: 2 error(s) found for object 'student'.",
]


@pytest.mark.parametrize(
    "person",
    [
        ("Ada", "Byron", {"email": "ada.byron@example.com", "phone": "+1 555 010 9999"}),
        ("Will", "May", {"username": "wmay"}),
        ("Ada", "Grade", {"demographics": {"birthDate": "2012-03-04"}}),
        ("Student", "Jo Li", {"middleName": "K."}),
        ("Ed", "Dee", {}),
        ("Max", "Field", {}),
        ("芳", "王", {}),
    ],
    ids=lambda person: f"{person[0]} {person[1]}",
)
@pytest.mark.parametrize("words", REAL_WORDS)
def test_the_ordinary_words_of_servers_come_through_unchanged(
    words: str, person: tuple[str, str, dict[str, Any]]
) -> None:
    given_name, family_name, more = person
    # What is left out is the name where it looks like one: "Field required" to Max Field.
    expected = words.replace("Field", "…") if family_name == "Field" else words

    assert said(words, given_name, family_name, **more) == expected


SCRIPTS = [
    "abcdefghijklmnopqrstuvwxyz",
    "aeiouáàâäãåæçéèêëíìîïñóòôöõøœúùûüýÿßłśźżčďěňřšťůžğışđð",
    "абвгдежзийклмнопрстуфхцчшщъыьэюяёіїєґ",
    "αβγδεζηθικλμνξοπρστυφχψωάέήίόύώ",
    "ابتثجحخدذرزسشصضطظعغفقكلمنهويءآأؤإئ",
    "אבגדהוזחטיכלמנסעפצקרשתךםןףץ",
    "王李张刘陈杨黄赵周吴徐孙马朱胡郭何高林罗芳伟敏静丽强磊军洋勇艳杰娟涛明超",
    "김이박최정강조윤장임한오서신권황안송류홍민준서연지우하은",
    "あいうえおかきくけこさしすせそがぎぐげごアイウエオカキクケコガギグゲゴー",
    "กขคงจฉชซญดตถทธนบปผฝพฟภมยรลวศสหอ",
    "अआइईउऊएऐओऔकखगघचछजझटठडढणतथदधनपफबभमयरलवशषसह",
    "აბგდევზთიკლმნოპჟრსტუფქღყშჩცძწჭხჯჰ",
]
names = st.sampled_from(SCRIPTS).flatmap(
    lambda letters: st.text(letters, min_size=1, max_size=10).map(str.title)
)
TEMPLATES = [
    "student {} already exists",
    "{}: not found",
    "The user '{}' cannot be created in org-1",
    "duplicate username ({})",
    'Key (name)=("{}") exists',
    "user/{}/agents is unknown",
]


@settings(deadline=None, max_examples=200)
@given(
    given_name=names,
    family_name=names,
    form=st.sampled_from(list(FORMS.values())),
    order=st.sampled_from(list(ORDERS.values())),
    template=st.sampled_from(TEMPLATES),
)
def test_no_name_is_seen_whoever_it_is_and_whatever_the_server_makes_of_it(
    given_name: str, family_name: str, form: Any, order: str, template: str
) -> None:
    ordinary = PLAIN | AMBIGUOUS | set(re.split(r"\W+", template.lower()))
    assume(ordinary.isdisjoint((key(given_name), key(family_name))))
    written = form(order.format(given=given_name, family=family_name))

    text = shown(error_of(template.format(written), givenName=given_name, familyName=family_name))

    for name in (given_name, family_name):
        assert_unseen(text, name)


# -- numbers

BORN = date(2012, 3, 4)
DATES = """
    %Y-%m-%d %Y%m%d %d.%m.%Y %m/%d/%Y 4/3/2012 3/4/2012 4.3.12 3/4/12 %d%m%Y %m%d%Y %y%m%d 2012/3/4
    %Y-%m-%dT00:00:00Z 2012.03.04. 04-Mar-2012 4Mar2012 Mar-04-2012 2012年3月4日 ٢٠١٢-٠٣-٠٤
    ２０１２年３月４日 03-04 2012
"""


@pytest.mark.parametrize(
    "form",
    [
        *DATES.split(),
        *("%d %B %Y", "%B %d, %Y", "4 March 2012", "March 4th, 2012", "4th of March, 2012"),
        *("March 4", "4. März 2012", "4 de marzo de 2012", "le 4 mars 2012", "2012 03 04"),
        *("Sunday, March 4, 2012", "04 / 03 / 2012", "2012%2D03%2D04", "2012&#45;03&#45;04"),
    ],
)
@pytest.mark.parametrize("value", ["2012-03-04", "20120304", "04.03.2012", "March 4, 2012"])
def test_a_birth_date_goes_in_whatever_order_it_is_written(form: str, value: str) -> None:
    written = BORN.strftime(form)

    detail = said(f"born {written}: 17 records", "Ada", "Byron", metadata={"m": value})

    assert not re.search(r"2012|\b0?4\b|12\b|March|Mär|٢|２", detail.replace("Sunday, March", ""))
    assert detail.startswith("born ")
    assert detail.endswith(": 17 records")


@settings(deadline=None, max_examples=200)
@given(
    st.dates(date(1930, 1, 1), date(2026, 1, 1)),
    st.permutations(["%Y", "%m", "%d"]) | st.permutations(["%y", "%m", "%d"]),
    st.sampled_from(["-", ".", "/", " ", ", ", "", "_", "\u2013"]),
)
def test_no_birth_date_is_seen_in_any_order_of_its_parts(
    born: date, order: list[str], sign: str
) -> None:
    # Without signs, only the orders in use: 03201204 is no date.
    assume(sign or order[1] == "%m" or order[2] in ("%Y", "%y"))
    written = born.strftime(sign.join(order))

    detail = said(f"born {written}!", "Ada", "Byron", demographics={"birthDate": str(born)})

    assert not re.search(r"\d", detail)


@pytest.mark.parametrize(
    "written",
    [
        "+1 (555) 010-9999",
        "15550109999",
        "555.010.9999",
        "0555/010 99 99",
        "001 555 010 9999",
        "+1-555-0109999",
        "555 010 9999",
        "tel:+15550109999",
        "%2B1%20555%20010%209999",
        "9999",
        "٥٥٥٠١٠٩٩٩٩",
    ],
)
@pytest.mark.parametrize("value", ["+1 (555) 010-9999", "+15550109999", "555-010-9999"])
def test_a_phone_number_goes_whatever_is_between_its_digits(written: str, value: str) -> None:
    detail = said(f"phone {written} of 12 records", "Ada", "Byron", phone=value)

    if "555" not in written and value == "+15550109999":
        return  # without signs, nobody knows where its end begins
    assert not re.search("5|9|٥|010", detail)
    assert detail.endswith(" of 12 records")


def test_numbers_that_identify_nobody_stay() -> None:
    words = "grade 05 of 12, HTTP 409, 10023456 bytes, 10.0.0.1:8080, attempt 3/5"

    assert said(words, "Ada", "Byron", demographics={"birthDate": "2012-03-04"}) == words


@pytest.mark.parametrize(
    "written",
    [
        "Grace Hopper", "1906-12-09", "12/9/1906", "09.12.1906", "+1 555 010 9999",
        "(555) 010-9999", "555-0109999", "grace@navy.example",
    ],
)  # fmt: skip
def test_nothing_is_shown_of_somebody_whom_we_did_not_send(written: str) -> None:
    error = api_error(
        Response(409, {}, f'{{"message": "the user id is used by {written}"}}'.encode()), None, ""
    )

    assert error.detail == "the user id is used by …"
    assert written in error.words
    assert written not in f"{error}{error!r}"


@pytest.mark.parametrize(
    "status", [each for each in HTTPStatus if each >= 300 and each not in (418, 506)]
)
def test_the_phrases_of_http_stay(status: HTTPStatus) -> None:
    assert said(f"{status} {status.phrase}", "Ada", "Byron") == f"{status} {status.phrase}"


def test_a_date_that_is_none_is_a_number_like_others() -> None:
    assert said("6.40.1999 or 640", "", "", metadata={"x": "6.40.1999"}) == "… or 640"


# -- e-mail addresses


@pytest.mark.parametrize(
    "written",
    [
        "ada.byron@example.com",
        "ADA.BYRON@EXAMPLE.COM",
        "ada.byron%40example.com",
        "ada.byron&#64;example.com",
        "ada.byron\\u0040example.com",
        "ada.byron\uff20example.com",
        "ada.byron (at) example.com",
        "<ada.byron@example.com>",
        "mailto:ada.byron+school@example.com",
        "ada.byron@",
        "adabyron@other.example",
    ],
)
def test_an_email_address_goes_in_any_form(written: str) -> None:
    detail = said(f"cannot use {written} here", email="ada.byron@example.com")

    assert not re.search("ada|byron", detail, re.IGNORECASE)
    assert detail.startswith("cannot use ")
    assert detail.endswith(" here")


# -- what is uncertain


def test_words_of_which_nothing_is_left_are_had_for_the_asking_only() -> None:
    error = error_of("김민준 학생이 이미 있습니다", givenName="민준", familyName="김")

    assert str(error) == "HTTP 409: its words may be personal: see error.words"
    assert "김민준" not in shown(error)
    assert error.words == "김민준 학생이 이미 있습니다"


@pytest.mark.parametrize("status", [200, 400, 409, 503])
def test_words_as_they_came_are_pickled_but_never_shown(status: int) -> None:
    body = b'{"message": "user Byron exists", "student": {"sourcedId": "s-2"}}'
    error = api_error(Response(status, {}, body), b'{"familyName": "Byron"}', "ours-1")

    copy = pickle.loads(pickle.dumps(error))  # noqa: S301
    assert (copy.status, copy.words) == (status, "user Byron exists")
    assert "Byron" not in shown(error)
    assert error.detail == "user … exists"


@pytest.mark.parametrize(
    ("code", "left"),
    [("duplicate_user", "duplicate_user"), ("user_byron", ""), ("ADA_BYRON", ""), ("Will", "")],
)
def test_a_code_is_shown_only_if_nothing_personal_is_in_it(code: str, left: str) -> None:
    sent = b'{"givenName": "Will Ada", "familyName": "Byron"}'
    answer = Response(409, {}, json.dumps({"error": code}).encode())

    assert api_error(answer, sent, "ours-1").code == left


def test_a_body_that_is_not_json_is_personal_as_a_whole() -> None:
    answer = Response(400, {}, b'{"message": "Byron is not valid"}')

    assert api_error(answer, b"name=Ada+Byron", "ours-1").detail == "… is not valid"


# -- which values are personal


@pytest.mark.parametrize(
    ("sent", "values"),
    [
        (None, []),
        (b"", []),
        (b"null", []),
        (json.dumps({"student": STUDENT}).encode(), ["05"]),
        (b'{"user": {"sourcedId": "u-1", "type": "user"}, "relationshipType": "aunt"}', []),
        (b'{"student": {"givenName": "A"}, "user": {"givenName": "B"}}', ["B", "A"]),
        (b'{"givenName": "A", "status": "active", "enabledUser": true}', ["A"]),
        (b'{"metadata": {"k": {"l": 1.5}, "m": [{"n": "o"}]}}', ["k", "m", "n", "o", "l", "1.5"]),
        (b'{"metadata": {"status": "s", "user": {"n": "t"}}}', ["status", "user", "n", "t", "s"]),
        (b'{"demographics": {"birthDate": "2012-03-04"}}', ["2012-03-04"]),
        (b'[{"sourcedId": "s-1"}]', ["s-1"]),
    ],
)  # fmt: skip
def test_all_values_but_ids_and_words_of_the_standard_are_personal(
    sent: bytes | None, values: list[str]
) -> None:
    assert personal_values(sent) == values


def test_a_secret_goes_as_it_is() -> None:
    answer = Response(401, {}, b'{"message": "client a1/b2+c3== or hunter2 is unknown"}')

    error = api_error(answer, None, "ours-1", secrets=["a1/b2+c3==", "hunter2"])

    assert error.detail == "client … or … is unknown"


@pytest.mark.parametrize(
    "body",
    [
        b"<title" * 11_000,
        b"a@" * 32_000,
        b"x" * 65_536,
        b"%41" * 21_000,
        b"&#x41;" * 10_000,
        "\u2026".encode() * 20_000,
        b"1 2 " * 16_000,
        b"\\u0041" * 10_000,
        json.dumps({"message": "\\" * 60_000}).encode(),
        json.dumps({f"a{n}": {} for n in range(8_000)}).encode(),
        json.dumps({"errors": [{"message": f"byron{n}"} for n in range(4_000)]}).encode(),
    ],
    ids=lambda body: ascii(body)[:20],
)
def test_words_of_any_length_are_cleaned_of_thousands_of_values(body: bytes) -> None:
    metadata = {f"key{n}": f"Byron{n} 2012-03-{n % 28 + 1:02}" for n in range(2_000)}
    sent = json.dumps({"student": STUDENT | {"metadata": metadata}}).encode()

    error = api_error(Response(400, {}, body), sent, "ours-1")

    assert "yron" not in shown(error)
    assert len(error.detail) <= 300
