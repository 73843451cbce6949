"""The examples, links and promises of the README and of the guides, as they stand there."""

import ast
import html
import os
import re
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import anyio
import pytest
from msgspec import UNSET

from tests.support.command import run as run_command
from timeback_async import Demographics, OrgRef, Student, TimebackSession
from timeback_async.sync import ReadOptions, read_roster
from timeback_async.sync._reading import layout
from timeback_async.testing import MockServer

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
PAGES = [
    README,
    *sorted(ROOT.glob("timeback_async/**/README.md")),
    *sorted(ROOT.glob("tests/**/README.md")),
    ROOT / "benchmarks" / "README.md",
    ROOT / "CHANGELOG.md",
    *sorted(ROOT.glob(".github/*.md")),
]
TEXTS = {str(page.relative_to(ROOT)): page.read_text() for page in PAGES}
EXAMPLES: list[str] = [
    code for text in TEXTS.values() for code in re.findall(r"```python\n(.*?)```", text, re.DOTALL)
]


async def run_example(containing: str, server: MockServer) -> str:
    (code,) = [code for code in EXAMPLES if containing in code]
    environ = os.environ | {
        "TIMEBACK_BASE_URL": server.base_url,
        "TIMEBACK_CLIENT_ID": server.client_id,
        "TIMEBACK_CLIENT_SECRET": server.client_secret,
    }
    command = [sys.executable, "-W", "error", "-c", code]
    done = await anyio.run_process(command, env=environ, stderr=subprocess.STDOUT)
    return done.stdout.decode()


async def test_the_first_example_saves_a_student(timeback_server: MockServer) -> None:
    printed = await run_example("print(record)", timeback_server)

    assert timeback_server.students["s-1"]["givenName"] == "Ada"
    assert printed == "StudentRecord(sourced_id='s-1', …)\n"


async def test_the_bulk_example_saves_a_school_twice(timeback_server: MockServer) -> None:
    printed = await run_example("def school", timeback_server)

    assert printed.startswith("3,000 records: 3,000 saved; 3,000 requests")
    assert printed.count("\n") == 1
    assert len(timeback_server.agents) == 1000
    assert timeback_server.requests == 6000


async def test_the_nightly_example_brings_a_roster_up_to_date(
    timeback_server: MockServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (code,) = [code for code in EXAMPLES if "def nightly" in code]
    names: dict[str, Any] = {}
    exec(code, names)  # noqa: S102 - our own README
    users = tmp_path / "users.csv"
    users.write_text(
        "sourcedId,enabledUser,orgSourcedIds,role,username,givenName,familyName,grades\n"
        "s-1,true,org-1,student,ada,Ada,Byron,05\n"
    )

    for _ in range(2):
        await names["nightly"](users, timeback_server.config(), tmp_path / "state.db")

    assert timeback_server.students["s-1"]["grades"] == ["5"]
    assert capsys.readouterr().out.splitlines() == [
        "create student s-1",
        "1 changes: 1 saved; 0 unchanged",
        "0 changes: nothing sent; 1 unchanged",
    ]


async def test_the_example_of_looking_compares_and_copies(
    timeback_server: MockServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (code,) = [code for code in EXAMPLES if "def compare" in code]
    names: dict[str, Any] = {}
    exec(code, names)  # noqa: S102 - our own README
    users = tmp_path / "users.csv"
    users.write_text(
        "sourcedId,enabledUser,orgSourcedIds,role,username,givenName,familyName,grades\n"
        "s-1,true,org-1,student,ada,Ada,Byron,05\n"
        "s-2,true,org-1,student,bo,Bo,Li,05\n"
    )
    config = timeback_server.config()
    async with TimebackSession(config) as session:
        await session.upsert_student(
            Student(
                sourced_id="s-1", username="other", given_name="Ada", family_name="Byron",
                grades=["5"], primary_org=OrgRef("org-1"),
            )
        )  # fmt: skip
        await names["compare"](users, config)
        async with MockServer() as other, TimebackSession(other.config()) as target:
            await names["copy"](session, target)
            copied = dict(other.students)

    assert capsys.readouterr().out.splitlines() == [
        "different student s-1 ('username',)",
        "missing student s-2 ()",
    ]
    assert copied.keys() == {"s-1"}


def examples_of_maps() -> Iterator[str]:
    guide = TEXTS["timeback_async/sync/README.md"]
    yield from re.findall(r"```toml\n(.*?)```", guide, re.DOTALL)
    documented = re.findall(r"(?:^    .*\n)+", layout.__doc__ or "", re.MULTILINE)
    # The docstring leaves out the columns that have nothing to show.
    yield from (
        textwrap.dedent(example).replace(
            "[students.constants]",
            '"School" = "orgSourcedIds"\n"First" = "givenName"\n"Last" = "familyName"\n'
            '"Login" = "username"\n[students.constants]\nenabledUser = "true"',
        )
        for example in documented
    )


MAPS = list(examples_of_maps())


@pytest.mark.parametrize("example", MAPS, ids=["guide", "layout"])
@pytest.mark.parametrize("header", ["State", "state", "status"])
def test_the_example_of_a_map_is_right_row_by_row(
    tmp_path: Path, example: str, header: str
) -> None:
    (tmp_path / "map.toml").write_text(example)
    (tmp_path / "students.csv").write_text(
        f"Student ID,School,First,Last,Login,Born,Locker,{header}\n"
        "1,o,Ada,Byron,ada,12/10/2015,7,Enrolled\n"
        "2,o,Ada,Byron,ada2,02/03/2013,,ENROLLED\n"
        "3,o,Bo,Li,bo,02/03/2013,,Left\n"
        "4,o,Bo,Li,bo4,02/03/2013,,Expelled\n"
        "5,o,Bo,Li,bo5,,,\n"
        "6,o,Bo,Li,bo6,13/12/2015,,Enrolled\n"
    )

    with read_roster(tmp_path, ReadOptions(layout=tmp_path / "map.toml")) as roster:
        found = {each.sourced_id: each for each in roster.records() if isinstance(each, Student)}
        causes = {cause.code for cause in roster.findings.causes}

    assert {own: each.status for own, each in found.items() if own != "6"} == {
        "1": "active",
        "2": "active",
        "3": "tobedeleted",
        "5": "active",
    }
    assert found["1"].demographics == Demographics(date(2015, 12, 10))
    assert found["3"].demographics == Demographics(date(2013, 2, 3))
    assert found["5"].demographics is UNSET
    assert ("column-absent" in causes) == ("column-unnamed" in causes) == (header == "status")


def test_every_example_compiles() -> None:
    for code in EXAMPLES:
        compile(code, "README.md", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)


def test_every_test_that_is_said_to_hold_a_promise_exists() -> None:
    promises = TEXTS["timeback_async/cli/README.md"].partition("## What happens when")[2]
    named = re.findall(r"`(test_\w+)`", promises)
    tests = "".join(path.read_text() for path in Path(__file__).parent.rglob("test_*.py"))

    assert len(named) == 12
    assert [name for name in named if f"def {name}(" not in tests] == []


def anchors(text: str) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("name", TEXTS)
def test_every_link_leads_somewhere(name: str) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", TEXTS[name]):
        assert not link.startswith("http"), f"{link}: nobody checks it"
        path, _, anchor = link.partition("#")
        target = (ROOT / name).parent / path if path else ROOT / name
        assert target.exists(), link
        if anchor:
            assert anchor in anchors(target.read_text()), link


def test_the_readme_is_read_in_one_sitting() -> None:
    assert len(README.read_text().splitlines()) <= 220


def test_the_picture_shows_what_the_demonstration_prints() -> None:
    picture = html.unescape((ROOT / ".github/demo.svg").read_text("utf-8")).replace("\xa0", " ")
    shown = " ".join(re.findall(r"<text[^>]*>([^<]*)</text>", picture))

    printed = run_command("demo", "--records", 50).stdout

    labels = ["records read", "token requests", "records/s", "window", "throttled/s", "Proven:"]
    for label in labels:
        assert label in shown
        assert label in printed
    assert "http" not in picture.replace("http://www.w3.org/2000/svg", "")
