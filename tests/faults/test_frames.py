"""What error trackers find in a traceback: no secret, no token and nothing personal.

They store the local variables of every frame of an error, of its causes and of its contexts.
"""

import asyncio
import json
from base64 import b64encode
from collections.abc import Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import sentry_sdk
from sentry_sdk.utils import event_from_exception

from tests.support.case import CANARY, private_student
from tests.support.raw import DROP, RawServer, Reply, reply
from timeback_async import AgentLink, RetryPolicy, Student, TimebackSession
from timeback_async._flow import token as _token
from timeback_async.errors import TimebackError
from timeback_async.testing import Faults, MockServer

SECRET = f"secret-{CANARY}"
PAIR = b64encode(f"mock-client:{SECRET}".encode()).decode()
PRIVATE = (CANARY, PAIR, "Bearer ", "Basic ")
POLICY = RetryPolicy(attempts=2, initial=0.0, patience=0.05)
QUICK: dict[str, Any] = {"retry": POLICY, "deadline": 1.0}
CREATEPUT = "https://purl.imsglobal.org/spec/or/v1p2/scope/roster.createput"

Use = Callable[[TimebackSession], Awaitable[Any]]


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a new token that is rejected count as refused at once, and ask for one without waits."""
    monkeypatch.setattr(_token, "FETCH_POLICY", POLICY)
    monkeypatch.setattr(_token, "TRIAL", 0.02)
    monkeypatch.setattr(_token, "FIRST_TRIAL", 0.01)


async def one(session: TimebackSession) -> None:
    await session.upsert_student(private_student(0))


async def link(session: TimebackSession) -> None:
    await session.upsert_student_agent(AgentLink("s-1", "u-1", "parent"))


async def read(session: TimebackSession) -> None:
    await session.get_user_agents("s-1")


async def listed(session: TimebackSession) -> None:
    async for _ in session.list_users(filter=f"familyName='{CANARY}'"):
        pass


async def many(session: TimebackSession) -> None:
    (await session.upsert_many([private_student(0)])).raise_for_failures()


async def iterated(session: TimebackSession) -> None:
    async with session.upsert_many([private_student(n) for n in range(3)]) as results:
        async for result in results:
            if result.error is not None:
                raise result.error


async def raw_request(session: TimebackSession) -> None:
    await session.request(
        "PUT", "/students", body={"student": {"givenName": CANARY}}, scope=CREATEPUT
    )


async def token(session: TimebackSession) -> None:
    await session.check_token(CREATEPUT)


async def timed(session: TimebackSession) -> None:
    async with asyncio.timeout(0.05):
        await session.upsert_student(private_student(0))


USES: dict[str, Use] = {
    "single": one,
    "link": link,
    "read": read,
    "list": listed,
    "bulk": many,
    "iterated": iterated,
    "request": raw_request,
    "asyncio.timeout": timed,
}

FAULTS: dict[str, Faults] = {
    "token 401": Faults(token_statuses={401: 1.0}),
    "token 403": Faults(token_statuses={403: 1.0}),
    "token 503": Faults(token_statuses={503: 1.0}),
    **{
        str(status): Faults(statuses={status: 1.0})
        for status in (302, 400, 401, 403, 404, 409, 500)
    },
    "503, HTML": Faults(statuses={503: 1.0}, error_body="html"),
    "dropped": Faults(drop_before=1.0),
    "applied and dropped": Faults(drop_after=1.0),
    "cut off": Faults(truncate=1.0),
    "too late": Faults(latency=0.2),
}

REPLIES: dict[str, Reply] = {
    "garbage": Reply(b"garbage\r\n\r\n", "close"),
    "not JSON": reply(b"<html>"),
    "another record": reply(b'{"student":{"sourcedId":"other"}}'),
    "long header": reply(b"{}", headers=[f"X-Long: {'x' * 9000}"]),
    "two lengths": reply(b"{}", headers=["Content-Length: 7"]),
    "broken gzip": reply(b"broken", headers=["Content-Encoding: gzip"]),
    "dropped": DROP,
    "reset": Reply(then="reset"),
}


def chain(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error, its causes and its contexts, and the errors of groups."""
    seen: set[int] = set()
    todo = [error]
    while todo:
        link = todo.pop()
        if link is not None and id(link) not in seen:
            seen.add(id(link))
            yield link
            todo += [link.__cause__, link.__context__, *getattr(link, "exceptions", ())]


def leaks(error: BaseException) -> list[str]:
    """Return where a frame, other than of this test, holds what it must not."""
    found = []
    for each in chain(error):
        shown = f"{each!s} {each!r}"
        found += [f"{type(each).__name__}: {word}" for word in PRIVATE if word in shown]
        traceback = each.__traceback__
        while traceback is not None:
            frame, traceback = traceback.tb_frame, traceback.tb_next
            if frame.f_code.co_filename != __file__:
                for name, value in frame.f_locals.items():
                    if any(word in repr(value) for word in PRIVATE):
                        found.append(f"{frame.f_code.co_qualname}: {name}")
    return found


async def failure_of(use: Use, session: TimebackSession) -> BaseException | None:
    try:
        await use(session)
    except (TimebackError, TimeoutError, asyncio.CancelledError) as error:
        return error
    return None


@asynccontextmanager
async def session_over(faults: Faults, **settings: Any) -> Any:
    async with (
        MockServer(client_secret=SECRET, faults=faults) as server,
        TimebackSession(server.config(**{**QUICK, "attempt_timeout": 0.1, **settings})) as session,
    ):
        yield session


@pytest.mark.parametrize("use", USES.values(), ids=USES)
@pytest.mark.parametrize("faults", FAULTS.values(), ids=FAULTS)
async def test_no_frame_holds_what_is_private(faults: Faults, use: Use) -> None:
    async with session_over(faults, token_auth="body") as session:
        error = await failure_of(use, session)

    assert error is not None or use is timed or faults.statuses == {404: 1.0}
    assert error is None or leaks(error) == []


@pytest.mark.parametrize("use", USES.values(), ids=USES)
@pytest.mark.parametrize("wire", REPLIES.values(), ids=REPLIES)
async def test_no_frame_holds_what_is_private_after_a_broken_answer(wire: Reply, use: Use) -> None:
    async with MockServer(client_secret=SECRET) as tokens, RawServer(wire) as server:
        config = tokens.config(
            **QUICK, base_url=server.url, token_url=f"{tokens.base_url}/auth/1.0/token"
        )
        async with TimebackSession(config) as session:
            error = await failure_of(use, session)

    assert error is None or leaks(error) == []


@pytest.mark.parametrize("use", USES.values(), ids=USES)
async def test_no_frame_holds_what_is_private_when_nobody_is_there(use: Use) -> None:
    async with session_over(Faults(), base_url="http://127.0.0.1:9") as session:
        error = await failure_of(use, session)

    assert error is not None
    assert leaks(error) == []


async def test_no_frame_holds_an_invalid_record() -> None:
    wrong = Student(
        sourced_id="", username=None, given_name=CANARY, family_name=CANARY, grades=[],
        primary_org=private_student(0).primary_org,
    )  # fmt: skip
    async with session_over(Faults()) as session:
        error = await failure_of(lambda session: session.upsert_student(wrong), session)

    assert error is not None
    assert leaks(error) == []


async def test_no_frame_of_a_call_that_ran_out_of_time_or_was_cancelled_is_left() -> None:
    async with session_over(Faults(latency=1.0), attempt_timeout=5.0, deadline=0.1) as session:
        late = await failure_of(one, session)
        call = asyncio.create_task(one(session))
        await asyncio.sleep(0.05)
        call.cancel()
        (cancelled,) = await asyncio.gather(call, return_exceptions=True)

    assert isinstance(cancelled, asyncio.CancelledError)
    assert late is not None
    assert leaks(late) == leaks(cancelled) == []


@pytest.mark.parametrize("use", [one, many, raw_request, token], ids=lambda use: use.__name__)
@pytest.mark.parametrize("name", ["token 401", "token 503", "applied and dropped", "cut off"])
async def test_an_error_tracker_gets_nothing_private(name: str, use: Use) -> None:
    async with session_over(FAULTS[name]) as session:
        error = await failure_of(use, session)
    if error is None:
        assert use is token
        return

    event, _ = event_from_exception(error, client_options=sentry_sdk.Client().options)

    sent = json.dumps(event, default=repr)
    assert type(error).__name__ in sent
    assert not [word for word in PRIVATE if word in sent.replace(__file__, "")]


def test_the_walk_finds_what_is_private() -> None:
    """The control: a frame with a header in it, as an HTTP library has."""
    control = compile("def send(headers): raise ValueError", "elsewhere.py", "exec")
    names: dict[str, Any] = {}
    exec(control, names)  # noqa: S102 - a frame that is not of this file
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        names["send"]({"Authorization": f"Bearer {CANARY}"})

    assert leaks(caught.value) == ["send: headers"]


async def test_a_request_that_cannot_be_sent_leaves_no_frame_with_its_body() -> None:
    async with session_over(Faults()) as session:
        error = await failure_of(
            lambda session: session.request("PUT", "no path", body={"givenName": CANARY}), session
        )

    assert error is not None
    assert leaks(error) == []
