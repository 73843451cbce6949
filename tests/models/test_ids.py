from urllib.parse import unquote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from timeback_async.models.ids import ID_RULE, agent_id_of, is_sendable, path_segment

HOSTILE = "./\\%?#@&;:+ \t\r\n\x00\x1f\x7f\x85\xa0\u2028\u2029\u200e\ufeff\ud800aZ09-_é日"

ids = st.one_of(
    st.text(alphabet=HOSTILE, max_size=12),
    st.text(max_size=20),
    st.text(alphabet="./a", max_size=8),
    st.text(alphabet="aé", min_size=250, max_size=260),
)


def follows_the_rule(sourced_id: str) -> bool:
    """Say the rule again, character by character."""
    controls = [*range(0x20), *range(0x7F, 0xA0), 0x2028, 0x2029, *range(0xD800, 0xE000)]
    return (
        1 <= len(sourced_id) <= 255
        and not set(map(ord, sourced_id)) & set(controls)
        and not (sourced_id[0].isspace() or sourced_id[-1].isspace())
        and not {".", ".."} & set(sourced_id.split("/"))
    )


@settings(deadline=None)
@given(ids)
def test_an_id_is_sent_exactly_if_it_follows_the_rule(sourced_id: str) -> None:
    assert is_sendable(sourced_id) is follows_the_rule(sourced_id)


@settings(deadline=None)
@given(ids.filter(is_sendable))
def test_an_id_that_is_sent_is_one_segment_that_means_it(sourced_id: str) -> None:
    segment = path_segment(sourced_id)

    assert unquote(segment, errors="strict") == sourced_id
    assert segment.isascii()
    assert not set("/?#\\ ") & set(segment)
    assert segment not in ("", ".", "..")


@pytest.mark.parametrize(
    ("sourced_id", "segment"),
    [
        ("s-1", "s-1"),
        ("a.b", "a.b"),
        (".hidden", ".hidden"),
        ("...", "..."),
        ("ada@example.com", "ada%40example.com"),
        ("a/b", "a%2Fb"),
        ("/a", "%2Fa"),
        ("a?x=1", "a%3Fx%3D1"),
        ("a#f", "a%23f"),
        ("a%2Fb", "a%252Fb"),
        ("%2e%2e", "%252e%252e"),
        ("a\\b", "a%5Cb"),
        ("Ada Byron", "Ada%20Byron"),
        ("é", "%C3%A9"),
        ("a" * 255, "a" * 255),
    ],
)
def test_an_odd_id_is_percent_encoded(sourced_id: str, segment: str) -> None:
    assert is_sendable(sourced_id)
    assert path_segment(sourced_id) == segment


@pytest.mark.parametrize(
    "sourced_id",
    [
        "",
        ".",
        "..",
        "../students",
        "a/..",
        "a/./b",
        "./a",
        " ",
        " a",
        "a ",
        "a\u00a0",
        "a\n",
        "a\nb",
        "a\r\nX-Header: b",
        "\x00",
        "a\x7f",
        "a\x85b",
        "a\u2028b",
        "\ud800",
        "a" * 256,
        "é" * 256,
    ],
    ids=ascii,
)
def test_an_id_that_could_reach_another_record_is_refused(sourced_id: str) -> None:
    assert not is_sendable(sourced_id)


def test_the_rule_says_how_long_an_id_may_be() -> None:
    assert "1 to 255 characters" in ID_RULE


def test_the_id_of_a_link_never_changes() -> None:
    assert agent_id_of("s-1", "u-1") == "1ee8dc9c-702a-5dd1-b4de-61ba861fa102"


@pytest.mark.parametrize("other", [("u-1", "s-1"), ("s-1", "u-2"), ("s", "-1u-1"), ("s-1u", "-1")])
def test_other_people_have_another_link(other: tuple[str, str]) -> None:
    assert agent_id_of(*other) != agent_id_of("s-1", "u-1")


sendable = ids.filter(is_sendable)


@settings(deadline=None)
@given(sendable, sendable, sendable, sendable)
def test_two_links_have_the_same_id_only_if_they_are_the_same(
    a: str, b: str, c: str, d: str
) -> None:
    assert (agent_id_of(a, b) == agent_id_of(c, d)) is ((a, b) == (c, d))
