"""Code as a user of the library writes it: public names alone, every promised type asserted.

mypy and pyright check this file in strict mode; `test_user_code` runs it against a mock server.
"""

from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping
from contextlib import aclosing
from pathlib import Path
from typing import Any, assert_type

from timeback_async import (
    UNSET,
    AgentKey,
    AgentLink,
    AgentRecord,
    Bulk,
    Config,
    Demographics,
    ItemResult,
    Latency,
    OrgRecord,
    OrgRef,
    Outcome,
    Report,
    Response,
    RetryPolicy,
    Role,
    Statistics,
    Student,
    StudentRecord,
    TimebackSession,
    Transport,
    User,
    UserRecord,
)
from timeback_async.errors import (
    ApiError,
    AuthError,
    ConfigError,
    DeadlineError,
    NotFoundError,
    RateLimitError,
    RecordError,
    SourceError,
    TimebackError,
    TransportError,
)
from timeback_async.sync import (
    Cause,
    Change,
    Compared,
    Difference,
    Export,
    ExportReport,
    Failure,
    Finding,
    Plan,
    PlanRefusedError,
    ReadOptions,
    Roster,
    State,
    SyncReport,
    SyncRun,
    Verification,
    VerifyReport,
    export,
    plan,
    read_roster,
    run,
    verify,
)
from timeback_async.testing import Faults, MockServer, Throttle

ORG = OrgRef("org-1")


def settings(secret: str) -> Config:
    """Return a configuration with some of everything in it."""
    config = Config(
        client_id="app",
        client_secret=secret,
        token_auth="body",
        max_in_flight=16,
        max_rate=50,
        retry=RetryPolicy(attempts=5, patience=60),
    )
    assert_type(config.max_in_flight, int)
    assert_type(config.max_rate, float | None)
    assert_type(config.retry, RetryPolicy)
    return config


def settings_of_the_environment(environ: Mapping[str, str]) -> Config | None:
    try:
        return assert_type(Config.from_env(environ), Config)
    except ConfigError:
        return None


def student(number: int) -> Student:
    return Student(
        sourced_id=f"s-{number}",
        username=None,
        given_name="Ada",
        family_name="Byron",
        grades=["5"],
        primary_org=ORG,
        email=UNSET if number % 2 else f"ada{number}@example.com",
        demographics=Demographics(birth_date=None),
    )


def parent(number: int) -> User:
    return User(
        sourced_id=f"p-{number}",
        given_name="Annabella",
        family_name="Byron",
        roles=[Role("primary", "parent", ORG)],
    )


def school(people: int) -> Iterator[Student | User | AgentLink]:
    for number in range(people):
        yield student(number)
        yield parent(number)
        yield AgentLink(f"s-{number}", f"p-{number}", "parent")


async def from_a_database(people: int) -> AsyncIterator[dict[str, object]]:
    """Yield records in wire form, as a database cursor would."""
    for number in range(people):
        yield {
            "student": {
                "sourcedId": f"s-{number}",
                "username": None,
                "givenName": "Ada",
                "familyName": "Byron",
                "grades": ["5"],
                "primaryOrg": {"sourcedId": "org-1"},
            }
        }


async def single_calls(timeback: TimebackSession) -> list[str]:
    """Make each of the single calls; return the ids of the people linked to the student."""
    saved = await timeback.upsert_student(student(1))
    assert_type(saved, StudentRecord | None)
    if saved is not None:
        assert_type(saved.sourced_id, str)
        assert_type(saved.extra, dict[str, Any])
        assert_type(saved.as_input(), Student)
    assert_type(await timeback.upsert_user(parent(1)), UserRecord | None)
    link = AgentLink("s-1", "p-1", "parent")
    assert_type(await timeback.upsert_student_agent(link), AgentRecord | None)

    user = await timeback.get_user("p-1")
    assert_type(user, UserRecord)
    assert_type(user.as_input(), Student | User)
    if isinstance(user.given_name, str):  # neither null nor left out
        assert_type(user.given_name.title(), str)
    if user.roles:
        assert_type(user.roles[0].role, str | None)

    answer = await timeback.with_raw_response.get_user("s-1")
    assert_type(answer.value, UserRecord)
    assert_type(answer.response.status, int)
    assert_type(answer.request_id, str)

    agents = await timeback.get_user_agents("s-1")
    assert_type(agents, list[AgentRecord])
    await timeback.delete_student_agent("s-1", link.agent_id)
    return [agent.user.sourced_id for agent in agents if agent.user is not None]


async def listings(timeback: TimebackSession) -> tuple[list[str], list[str]]:
    users = timeback.list_users(filter="familyName='Byron'", fields=["sourcedId"], order_by="ASC")
    assert_type(users, AsyncGenerator[UserRecord, None])
    orgs = timeback.list_orgs(page_size=2)
    assert_type(orgs, AsyncGenerator[OrgRecord, None])
    async with aclosing(users):
        return [user.sourced_id async for user in users], [org.sourced_id async for org in orgs]


async def any_other_call(timeback: TimebackSession) -> bytes:
    response = await timeback.request("GET", "/rostering/1.0/orgs?limit=1")
    assert_type(response, Response)
    assert_type(response.status, int)
    assert_type(response.headers.get("content-type"), str | None)
    return assert_type(response.body, bytes)


async def many_at_once(timeback: TimebackSession) -> Report:
    report = await timeback.upsert_many(school(4), in_flight=8)
    assert_type(report, Report)
    assert_type(report.ok, bool)
    assert_type(report.saved, int)
    assert_type(report.rate, float)
    assert_type(report.counts, dict[Outcome, int])
    assert_type(report.failures, list[ItemResult])
    assert_type(report.latency, Latency)
    assert_type(report.latency.p95, float | None)
    assert_type(report.as_dict(), dict[str, Any])
    report.raise_for_failures()
    return report


async def many_one_by_one(timeback: TimebackSession) -> tuple[list[str], Report]:
    """Return the ids that were saved in their order, and the report."""
    saved: list[str] = []
    bulk = timeback.upsert_many(from_a_database(4), ordered=True, stop_after_failures=10)
    assert_type(bulk, Bulk)
    async with bulk as results:
        assert_type(results, Bulk)
        async for result in results:
            assert_type(result, ItemResult)
            assert_type(result.outcome, Outcome)
            assert_type(result.error, Exception | None)
            assert_type(result.status, int | None)
            if result.ok and isinstance(result.value, StudentRecord):
                saved.append(result.value.sourced_id)
    return saved, assert_type(bulk.report, Report)


async def read_and_delete_many(timeback: TimebackSession) -> tuple[Report, Report]:
    assert_type(await timeback.get_many_users(["s-1"]), Report)
    read = await timeback.get_many_user_agents(f"s-{number}" for number in range(4))
    keys = [AgentKey("s-1", AgentLink("s-1", "p-1", "parent").agent_id)]
    return read, await timeback.delete_many(keys, dry_run=True)


async def what_went_wrong(timeback: TimebackSession, sourced_id: str) -> str:
    """Return what to tell somebody about a failed call, one decision after the other."""
    try:
        await timeback.get_user(sourced_id)
    except NotFoundError as error:
        return f"{assert_type(error.status, int)}: {assert_type(error.detail, str)}"
    except RateLimitError as error:
        return f"come back in {assert_type(error.retry_after, float | None)} s"
    except ApiError as error:
        return f"{error.code}, request {assert_type(error.request_id, str)}"
    except RecordError as error:
        return f"{assert_type(error.field, str)}: {assert_type(error.reason, str)}"
    except (AuthError, TransportError) as error:
        return assert_type(error.reason, str)
    except DeadlineError as error:
        return f"no time left: {error.__cause__}"
    except TimebackError as error:
        return "again" if assert_type(error.retryable, bool) else "never"
    return ""


async def a_source_that_breaks(timeback: TimebackSession) -> Report | None:
    def records() -> Iterator[Student]:
        yield student(1)
        raise OSError("the database went away")

    try:
        return await timeback.upsert_many(records())
    except SourceError as error:
        report: Report | None = error.report  # not typed as one: reports raise errors themselves
        return report


def figures(timeback: TimebackSession) -> str:
    statistics = timeback.statistics()
    assert_type(statistics, Statistics)
    assert_type(statistics.window, float)
    assert_type(statistics.latency, Latency)
    return f"{statistics.attempts} attempts, {statistics.retries} retries"


async def nightly(path: Path, database: Path, config: Config) -> tuple[list[str], SyncReport]:
    """Bring TimeBack up to date with a roster; return what was sent, and the report."""
    sent: Counter[str] = Counter()

    def take(change: Change, result: ItemResult) -> None:
        sent[f"{change.action} {change.kind} {change.sourced_id}: {result.outcome}"] += 1

    options = ReadOptions(relationship="relative", default_org="org-1", mode="bulk")
    with State(database, config) as state, read_roster(path, options) as roster:
        assert_type(roster, Roster)
        assert_type(roster.findings.causes, list[Cause])
        for cause in roster.findings.causes:
            assert_type(cause.examples, list[Finding])
        changes = plan(roster, state, unlink_absent=True, max_removals="10%")
        assert_type(changes, Plan)
        assert_type(changes.total(), int)
        async for change in changes:
            assert_type(change, Change)
        async with TimebackSession(config) as timeback:
            syncing = run(timeback, changes, on_result=take)
            assert_type(syncing, SyncRun)
            report = await syncing
    assert_type(report, SyncReport)
    assert_type(report.failures, list[Failure])
    assert_type(report.counts, Counter[Outcome])
    assert_type(syncing.error, TimebackError | None)
    assert_type(report.as_html(), str)
    report.raise_for_failures()
    return sorted(sent), report


async def looked_at(timeback: TimebackSession, path: Path) -> tuple[list[str], list[str]]:
    """Return what is not the same at TimeBack, and the ids of everybody there."""
    found: list[str] = []

    def take(difference: Difference, mending: Change | None) -> None:
        found.append(f"{difference.what} {difference.kind} {difference.who}")

    with read_roster(path, ReadOptions(mode="bulk")) as roster:
        comparison = verify(timeback, roster, one_way=False, sample=None, on_difference=take)
        assert_type(comparison, Verification)
        report = await comparison
    assert_type(report, VerifyReport)
    assert_type(report.people, Compared)
    assert_type(report.differences, list[Difference])
    exported = export(timeback)
    assert_type(exported, Export)
    ids: list[str] = []
    async with aclosing(aiter(exported)) as records:
        async for record in records:
            assert_type(record, Student | User | AgentLink)
            if not isinstance(record, AgentLink):
                ids.append(record.sourced_id)
    assert_type(exported.report, ExportReport)
    return found, ids


async def against_a_server_of_ones_own() -> tuple[int, Mapping[str, Any]]:
    """Return the requests it took to save a student in bad weather, and the student."""
    faults = Faults(statuses={503: 0.1}, latency=(0.0, 0.001), throttle=Throttle(rate=1000))
    async with MockServer(faults=faults) as server:
        assert_type(server, MockServer)
        config = server.config(max_in_flight=4)
        assert_type(config, Config)
        async with TimebackSession(config) as timeback:
            await timeback.upsert_student(student(1))
        assert_type(server.agents, dict[tuple[str, str], dict[str, Any]])
        return server.requests, server.students["s-1"]


class Canned:
    """A transport of one's own: answers everything, and remembers where it was sent."""

    def __init__(self) -> None:
        self.paths: list[str] = []

    async def send(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None, timeout: float
    ) -> Response:
        self.paths.append(f"{method} {url.partition('.test')[2]}")
        granted = b'{"access_token": "canned", "scope": "everything"}'
        return Response(200, {}, granted if url.endswith("/token") else b"")

    async def aclose(self) -> None:
        self.paths.append("closed")


async def over_a_transport_of_ones_own(config: Config) -> tuple[frozenset[str], list[str]]:
    """Return the scopes that a token came with, and everything that was sent."""
    transport = Canned()
    handed_in: Transport = transport
    async with TimebackSession(config, transport=handed_in) as timeback:
        scopes = await timeback.check_token("everything")
        await timeback.upsert_student(student(1))
    return assert_type(scopes, frozenset[str]), transport.paths


def what_is_found(path: Path, accept: list[str]) -> list[tuple[str, str, int]]:
    found: list[tuple[str, str, int]] = []

    def take(finding: Finding) -> None:
        found.append((assert_type(finding.code, str), finding.severity, finding.line))

    with read_roster(path, ReadOptions(accept=accept), on_finding=take) as roster:
        assert_type(roster.findings.errors, int)
        assert_type(roster.findings.unaccepted, int)
        return found


def what_is_refused(roster: Roster, state: State) -> list[dict[str, Any]]:
    """Return the changes of a plan, also of one that is refused."""
    try:
        found = plan(roster, state, allow_new_ids=False)
    except PlanRefusedError as refused:
        found = assert_type(refused.plan, Plan)
        assert_type(found.refusal, str)
    return [assert_type(found.described(change), dict[str, Any]) for change in found]


def what_is_left_out(path: Path) -> list[str]:
    with read_roster(path) as roster:
        return [
            f"{row.file}:{row.line}: {assert_type(row.reason, str)}" for row in roster.left_out()
        ]
