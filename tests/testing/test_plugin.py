"""Most tests run pytest once more within this one; some in a process of its own, as a user does."""

import os

import pytest

pytest_plugins = ["pytester"]

STRICT = "asyncio_default_fixture_loop_scope = function\nasyncio_mode = strict"
AUTO = "asyncio_default_fixture_loop_scope = function\nasyncio_mode = auto"
ANYIO_AUTO = "anyio_mode = auto"
WITHOUT_ASYNCIO = ["-p", "no:asyncio"]
WITHOUT_ANYIO = ["-p", "no:anyio"]

MARKED_ASYNCIO = "pytestmark = pytest.mark.asyncio"
MARKED_ANYIO = "pytestmark = pytest.mark.anyio"
BACKEND = """
@pytest.fixture
def anyio_backend():
    return "asyncio"
"""

TESTS = """
import pytest

from timeback_async import OrgRef, Student
from timeback_async.testing import Faults, MockServer

{setup}

async def test_the_session_is_open_on_the_server(timeback_session, timeback_server):
    student = Student(
        sourced_id="s-1", username="ada", given_name="Ada", family_name="Byron",
        grades=["5"], primary_org=OrgRef("org-1"),
    )

    record = await timeback_session.upsert_student(student)

    assert record.sourced_id == "s-1"
    assert list(timeback_server.students) == ["s-1"]


async def test_each_test_has_a_server_of_its_own(timeback_server):
    assert isinstance(timeback_server, MockServer)
    assert timeback_server.students == {{}}


async def test_a_session_alone_is_enough(timeback_session):
    assert len([org async for org in timeback_session.list_orgs()]) == 3


async def test_the_faults_may_be_set(timeback_server, timeback_session):
    timeback_server.faults = Faults(token_statuses={{401: 1.0}})

    with pytest.raises(Exception, match="401"):
        await timeback_session.get_user("u-1")
"""


def project(pytester: pytest.Pytester, ini: str, setup: str) -> None:
    pytester.makeini(f"[pytest]\nfilterwarnings = error\n{ini}")
    pytester.makepyfile(TESTS.format(setup=setup))


@pytest.mark.parametrize(
    ("ini", "setup", "options"),
    [
        pytest.param(STRICT, MARKED_ASYNCIO, [], id="asyncio-strict"),
        pytest.param(STRICT, MARKED_ASYNCIO, WITHOUT_ANYIO, id="asyncio-strict-alone"),
        pytest.param(AUTO, "", [], id="asyncio-auto"),
        pytest.param(STRICT, BACKEND + MARKED_ANYIO, [], id="anyio-marker"),
        pytest.param(STRICT + "\n" + ANYIO_AUTO, BACKEND, [], id="anyio-auto"),
        pytest.param(ANYIO_AUTO, BACKEND, WITHOUT_ASYNCIO, id="anyio-auto-alone"),
    ],
)
def test_the_fixtures_work_under(
    pytester: pytest.Pytester, ini: str, setup: str, options: list[str]
) -> None:
    project(pytester, ini, setup)

    result = pytester.runpytest_inprocess("-p", "no:cacheprovider", *options)

    result.assert_outcomes(passed=4)


def test_the_fixtures_work_in_a_process_of_their_own(pytester: pytest.Pytester) -> None:
    project(pytester, STRICT, MARKED_ASYNCIO)

    result = pytester.runpytest_subprocess("-p", "no:cacheprovider", timeout=30)

    result.assert_outcomes(passed=4)


def test_the_fixtures_work_where_pytest_asyncio_is_not_installed(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytester.makepyfile(pytest_asyncio="raise ImportError('not installed')")
    monkeypatch.setenv("PYTHONPATH", str(pytester.path), prepend=os.pathsep)

    project(pytester, "", BACKEND + MARKED_ANYIO)

    options = ["-p", "no:cacheprovider", "--assert=plain", *WITHOUT_ASYNCIO]
    result = pytester.runpytest_subprocess(*options, timeout=30)

    result.assert_outcomes(passed=4)


def test_the_fixtures_are_listed_with_what_they_give(pytester: pytest.Pytester) -> None:
    pytester.makeini(f"[pytest]\n{STRICT}")

    result = pytester.runpytest_inprocess("--fixtures")

    result.stdout.fnmatch_lines_random(
        [
            "timeback_server -- *",
            "    Yield a running `MockServer`, new for each test.",
            "timeback_session -- *",
            "    Yield a `TimebackSession` that is open on `timeback_server`, with*",
        ]
    )
    assert "_timeback" not in result.stdout.str()
