import asyncio
import logging
import traceback
from base64 import b64encode
from collections.abc import Callable, Coroutine, Sequence
from itertools import pairwise
from typing import Any
from urllib.parse import parse_qs, quote_plus

import msgspec
import pytest

from tests.support.amounts import amount
from tests.support.clock import now, simulated
from tests.support.config import BASE, SECRET, config
from tests.support.scripted import After, Outcome, ScriptedServer, Sent, Step, answer, grant
from timeback_async import RetryPolicy
from timeback_async._flow.grant import Token
from timeback_async._flow.token import TokenStore
from timeback_async._wire.http import CREATEPUT, READONLY
from timeback_async.errors import AuthError, ConnectError, SessionError, TimedOutError

HOUR = 3600
CALLERS = amount(1_000, long=10_000)


def make(*grants: Step, latency: float = 0.0, **settings: Any) -> tuple[TokenStore, ScriptedServer]:
    transport = ScriptedServer(grants=grants, grant_latency=latency)
    return TokenStore(config(**settings), transport), transport


def refusal(status: int, code: str = "", **headers: str) -> Outcome:
    return answer(status, {"error": code} if code else b"", **headers)


async def ask_at(store: TokenStore, times: Sequence[float]) -> list[str]:
    """Return the tokens that callers get who ask at these times."""
    started, loop = now(), asyncio.get_running_loop()
    tokens = []
    for at in times:
        await asyncio.sleep(started + at - loop.time())
        tokens.append((await store.get(CREATEPUT)).authorization.removeprefix("Bearer "))
    return tokens


# -- one fetch for all


@simulated
async def test_any_number_of_callers_share_one_fetch() -> None:
    store, transport = make(latency=1.0)

    tokens = await asyncio.gather(*(store.get(CREATEPUT) for _ in range(CALLERS)))

    assert len({id(token) for token in tokens}) == 1
    assert (len(transport.asked), store.requests) == (1, 1)


async def get_from_the_fetch(store: TokenStore, scope: str) -> Token:
    """Wait for the fetch itself, as the control does."""
    store.join(scope)
    fetch = store._held[scope].fetch
    assert fetch is not None
    return await fetch


@pytest.mark.parametrize("get", [TokenStore.get, pytest.param(get_from_the_fetch, id="control")])
@simulated
async def test_a_cancelled_caller_cancels_only_itself(
    get: Callable[[TokenStore, str], Coroutine[Any, Any, Token]],
) -> None:
    store, transport = make(latency=1.0)
    callers = [asyncio.create_task(get(store, CREATEPUT)) for _ in range(CALLERS)]
    await asyncio.sleep(0.5)
    callers[0].cancel()

    results = await asyncio.gather(*callers, return_exceptions=True)

    served = sum(isinstance(result, Token) for result in results)
    assert served == (CALLERS - 1 if get is TokenStore.get else 0)
    assert len(transport.asked) == 1


@simulated
async def test_a_fetch_whose_callers_are_all_gone_serves_the_next() -> None:
    store, transport = make(latency=1.0)
    caller = asyncio.create_task(store.get(CREATEPUT))
    await asyncio.sleep(0.5)
    caller.cancel()
    await asyncio.sleep(1)

    token = store.current(CREATEPUT, now())

    assert token is not None
    assert len(transport.asked) == 1


@simulated
async def test_each_scope_has_a_token_of_its_own() -> None:
    store, transport = make()

    tokens = [await store.get(scope) for scope in (CREATEPUT, READONLY, CREATEPUT)]

    assert [token.authorization for token in tokens] == [
        "Bearer token-1",
        "Bearer token-2",
        "Bearer token-1",
    ]
    assert [scope_asked(request.body) for request in transport.asked] == [CREATEPUT, READONLY]


@simulated
async def test_configured_scopes_are_asked_for_in_one_token() -> None:
    store, transport = make(scopes=("scope:a", "scope:b"))

    tokens = [await store.get(scope) for scope in (CREATEPUT, READONLY)]

    assert tokens[0] is tokens[1]
    assert [scope_asked(request.body) for request in transport.asked] == ["scope:a scope:b"]


def scope_asked(body: bytes | None) -> str:
    assert body is not None
    (scope,) = parse_qs(body.decode(), strict_parsing=True)["scope"]
    return scope


# -- what is sent


@simulated
async def test_basic_credentials_go_in_a_header() -> None:
    store, transport = make(client_id="id", client_secret="p@ss:wörd")

    await store.get("a:b")

    (request,) = transport.asked
    assert (request.method, request.url) == ("POST", f"{BASE}/auth/1.0/token")
    credentials = b64encode("id:p@ss:wörd".encode()).decode()
    assert request.headers["Authorization"] == f"Basic {credentials}"
    assert request.headers["Content-Type"] == "application/x-www-form-urlencoded"
    assert request.headers["X-Request-ID"]
    assert request.body == b"grant_type=client_credentials&scope=a%3Ab"


@simulated
async def test_body_credentials_go_in_the_form() -> None:
    token_url = "https://login.test/oauth2/token"
    store, transport = make(
        token_auth="body", client_id="id", client_secret="a b&c", token_url=token_url
    )

    await store.get("x")

    (request,) = transport.asked
    assert request.url == token_url
    assert "Authorization" not in request.headers
    assert request.body == (
        b"grant_type=client_credentials&scope=x&client_id=id&client_secret=a+b%26c"
    )


@simulated
async def test_a_token_request_has_the_attempt_timeout() -> None:
    store, transport = make(attempt_timeout=7.0)

    await store.get(CREATEPUT)

    assert transport.asked[0].timeout == 7.0


@simulated
async def test_the_repr_of_a_token_hides_it() -> None:
    store, _ = make(grant("canary", scope="granted"))

    token = await store.get(CREATEPUT)

    assert repr(token) == "Token(granted='granted', …)"


# -- its life


@pytest.mark.parametrize(
    ("members", "renew_at", "stale_at"),
    [
        pytest.param({"expires_in": 3600}, 3300, 3540, id="an hour"),
        pytest.param({"expires_in": 100}, 80, 95, id="short: shares of its life"),
        pytest.param({"expires_in": 1}, 32, 38, id="seconds: not believed"),
        pytest.param({"expires_in": "3600"}, 3300, 3540, id="text"),
        pytest.param({"expires_in": 100.0}, 80, 95, id="fraction"),
        pytest.param({}, 240, 285, id="missing"),
        pytest.param({"expires_in": None}, 240, 285, id="null"),
        pytest.param({"expires_in": "soon"}, 240, 285, id="nonsense"),
        pytest.param({"expires_in": -5}, 240, 285, id="negative"),
        pytest.param({"expires_in": 0}, 240, 285, id="zero"),
        pytest.param({"expires_in": 1e300}, 240, 285, id="for ever"),
        pytest.param({"expires_in": "nan"}, 240, 285, id="not a number"),
    ],
)
@simulated
async def test_a_token_ends_so_long_after_its_request_was_sent(
    members: dict[str, Any], renew_at: float, stale_at: float
) -> None:
    sent_at = now()
    store, _ = make(After(10, grant(**members)))

    token = await store.get(CREATEPUT)

    assert now() == sent_at + 10
    assert (token.renew_at - sent_at, token.stale_at - sent_at) == (renew_at, stale_at)


@simulated
async def test_a_token_is_renewed_in_the_background_while_callers_go_on() -> None:
    store, transport = make(grant("first", expires_in=HOUR), After(5, grant("second")))
    started = now()
    await store.get(CREATEPUT)

    tokens = await ask_at(store, [3299, 3300, 3304, 3306])

    assert tokens == ["first", "first", "first", "second"]
    assert now() == started + 3306
    assert [request.at - started for request in transport.asked] == [0, 3300]


@simulated
async def test_current_is_the_token_until_callers_have_to_wait_for_the_next_one() -> None:
    store, transport = make(grant("first", expires_in=HOUR), answer(503))
    assert store.current(CREATEPUT, now()) is None
    token = await store.get(CREATEPUT)

    await asyncio.sleep(3299)
    assert store.current(CREATEPUT, now()) is token
    assert len(transport.asked) == 1
    await asyncio.sleep(240)
    assert store.current(CREATEPUT, now()) is token
    await asyncio.sleep(1)
    assert store.current(CREATEPUT, now()) is None
    assert len(transport.asked) == 2


@simulated
async def test_callers_wait_for_the_next_token_close_to_the_end() -> None:
    store, transport = make(latency=5.0)
    await store.get(CREATEPUT)
    await asyncio.sleep(3540)

    tokens = await asyncio.gather(*(store.get(CREATEPUT) for _ in range(100)))

    assert {token.authorization for token in tokens} == {"Bearer token-2"}
    assert len(transport.asked) == 2


@simulated
async def test_a_token_that_comes_back_unchanged_is_taken_without_looping() -> None:
    store, transport = make(grant("same", expires_in=HOUR), latency=1.0)

    await ask_at(store, [0, 3320, 3330, 3400])

    assert len(transport.asked) == 2


@simulated
async def test_a_token_that_is_stale_on_arrival_is_used_once_without_looping() -> None:
    store, transport = make(After(20, grant("late", expires_in=10)))

    tokens = await asyncio.gather(store.get(CREATEPUT), store.get(CREATEPUT))

    assert [token.authorization for token in tokens] == ["Bearer late"] * 2
    assert len(transport.asked) == 1


@simulated
async def test_a_token_that_takes_longer_to_come_than_it_lives_is_still_used() -> None:
    step = After(50, grant("late", expires_in=10))
    store, transport = make(step, attempt_timeout=60.0)

    tokens = await asyncio.gather(store.get(CREATEPUT), store.get(CREATEPUT))

    assert [token.authorization for token in tokens] == ["Bearer late"] * 2
    assert len(transport.asked) <= 2  # the next one is asked for in the background
    await store.aclose()


# -- what the server says to a token


def proven(store: TokenStore, token: Token) -> Token:
    store.prove(CREATEPUT, token)
    return token


@simulated
async def test_a_rejected_token_that_was_good_is_thrown_away() -> None:
    store, transport = make()
    rejected = proven(store, await store.get(CREATEPUT))
    await asyncio.sleep(1)

    store.reject(CREATEPUT, rejected, now(), is_first=True)

    assert (await store.get(CREATEPUT)).authorization == "Bearer token-2"
    assert len(transport.asked) == 2


@simulated
async def test_a_token_that_was_replaced_already_stays_replaced() -> None:
    store, transport = make(grant("same"))
    rejected = proven(store, await store.get(CREATEPUT))
    await asyncio.sleep(1)
    store.reject(CREATEPUT, rejected, now(), is_first=True)
    replacement = await store.get(CREATEPUT)

    store.reject(CREATEPUT, rejected, now(), is_first=True)

    assert store.current(CREATEPUT, now()) is replacement
    assert len(transport.asked) == 2


@simulated
async def test_the_first_success_of_a_replaced_token_changes_nothing() -> None:
    store, _ = make(latency=1.0)
    old = proven(store, await store.get(CREATEPUT))
    store.reject(CREATEPUT, old, now(), is_first=True)
    new = await store.get(CREATEPUT)

    proven(store, old)

    assert store.current(CREATEPUT, now()) is new
    assert not new.is_proven


# -- failures


@pytest.mark.parametrize(
    "trouble",
    [
        pytest.param(answer(500), id="500"),
        pytest.param(answer(503, b"<html>"), id="503"),
        pytest.param(answer(429), id="429"),
        pytest.param(answer(408), id="408"),
        pytest.param(TimedOutError("no answer"), id="no answer"),
        pytest.param(answer(302, Location="https://login.test/"), id="a maintenance page"),
        pytest.param(answer(401, b"<html>Unauthorized</html>"), id="401 of a gateway"),
        pytest.param(answer(403, b"<html>blocked</html>"), id="a firewall"),
        pytest.param(answer(403, {"error": "access_denied"}), id="403 with a code"),
        pytest.param(answer(404, {"message": "Not Found"}), id="404: a deployment"),
        pytest.param(answer(405), id="405"),
        pytest.param(refusal(400, "temporarily_unavailable"), id="temporarily_unavailable"),
        pytest.param(refusal(400, "slow_down"), id="400 with another code"),
        pytest.param(answer(400, b"<html>invalid_client</html>"), id="400 that is HTML"),
        pytest.param(answer(400, {"message": "bad"}), id="400 without a code"),
        pytest.param(refusal(503, "invalid_client"), id="503 with the code of a refusal"),
        pytest.param(answer(200, b"<html>"), id="not JSON"),
        pytest.param(answer(200, b"[" * 100_000), id="deep JSON"),
        pytest.param(answer(200, b'{"access_token":"\xff"}'), id="not UTF-8"),
        pytest.param(answer(200, {"message": "ok"}), id="no token in it"),
        pytest.param(grant("two\r\nlines"), id="control characters in the token"),
        pytest.param(grant("tökén"), id="token outside ASCII"),
        pytest.param(grant(""), id="empty token"),
    ],
)
@simulated
async def test_passing_trouble_is_asked_again_up_to_five_requests(trouble: Outcome) -> None:
    store, transport = make(*[trouble] * 4, grant("at-last"))
    assert (await store.get(CREATEPUT)).authorization == "Bearer at-last"

    store, transport = make(trouble)
    with pytest.raises(AuthError, match="no token") as caught:
        await store.get(CREATEPUT)

    assert caught.value.retryable
    assert (len(transport.asked), store.requests) == (5, 5)
    assert (await recovered(store, transport)).authorization == "Bearer well-again"


async def recovered(store: TokenStore, transport: ScriptedServer) -> Token:
    """Let the endpoint be well again, and get the next token."""
    transport.grants = [grant("well-again")]
    return await store.get(CREATEPUT)


@pytest.mark.parametrize("unknown_host", [True, False])
@simulated
async def test_no_connection_to_the_token_endpoint_is_no_matter_of_credentials(
    unknown_host: bool,
) -> None:
    store, transport = make(ConnectError("cannot connect to x:443", unknown_host=unknown_host))

    with pytest.raises(ConnectError, match="no token: cannot connect to x:443") as caught:
        await store.get(CREATEPUT)

    assert (caught.value.unknown_host, caught.value.retryable) == (unknown_host, True)
    assert len(transport.asked) == 5
    assert (await recovered(store, transport)).authorization == "Bearer well-again"


@pytest.mark.parametrize(
    "members",
    [
        {"scope": ["a", "b"]},
        {"scope": "a b"},
        {"scope": {"a": "b"}},
        {"expires_in": True},
        {"expires_in": [3600]},
        {"token_type": None},
        {"refresh_token": 7},
    ],
)
@simulated
async def test_only_the_access_token_decides_whether_there_is_one(members: dict[str, Any]) -> None:
    body = b"\xef\xbb\xbf" + msgspec.json.encode({"access_token": "good", **members})
    store, transport = make(answer(200, body))

    token = await store.get(CREATEPUT)

    assert token.authorization == "Bearer good"
    assert token.granted in ("", "a b")
    assert len(transport.asked) == 1


@simulated
async def test_a_retry_after_of_the_token_endpoint_is_waited_out() -> None:
    store, transport = make(refusal(429, Retry_After="30"), grant())

    await store.get(CREATEPUT)

    first, second = (request.at for request in transport.asked)
    assert 30 <= second - first <= 31


@simulated
async def test_a_retry_after_past_our_patience_ends_the_attempts() -> None:
    store, transport = make(refusal(429, Retry_After="301"))

    with pytest.raises(AuthError) as caught:
        await store.get(CREATEPUT)

    assert (caught.value.status, len(transport.asked)) == (429, 1)


@pytest.mark.parametrize(
    ("refused", "text"),
    [
        pytest.param(refusal(401, "invalid_client"), "check client_id", id="invalid_client"),
        pytest.param(refusal(400, "invalid_scope"), "not granted", id="invalid_scope"),
        pytest.param(refusal(400, "unauthorized_client"), "may not use", id="unauthorized_client"),
        pytest.param(
            refusal(400, "unsupported_grant_type"), "client credentials", id="unsupported_grant"
        ),
        pytest.param(refusal(400, "invalid_request"), "token_auth", id="invalid_request"),
        pytest.param(answer(401, {"message": "no such key"}), "no such key", id="401, no code"),
        pytest.param(answer(401, {}), "check client_id", id="401, no words"),
    ],
)
@simulated
async def test_a_refusal_is_not_asked_again_for_minutes(refused: Outcome, text: str) -> None:
    store, transport = make(refused)

    for _ in range(17):
        with pytest.raises(AuthError, match=text) as caught:
            await store.get(CREATEPUT)
        assert not caught.value.retryable
        await asyncio.sleep(10)
    assert len(transport.asked) == 1
    await asyncio.sleep(10)

    assert (await recovered(store, transport)).authorization == "Bearer well-again"


@simulated
async def test_ten_thousand_callers_with_wrong_credentials_ask_once() -> None:
    store, transport = make(After(1, refusal(401, "invalid_client")))

    errors = await asyncio.gather(
        *(store.get(CREATEPUT) for _ in range(CALLERS)), return_exceptions=True
    )
    late = await asyncio.gather(
        *(store.get(CREATEPUT) for _ in range(CALLERS)), return_exceptions=True
    )

    assert {type(error) for error in errors + late} == {AuthError}
    assert len(transport.asked) == 1


@simulated
async def test_a_refused_scope_leaves_the_others_alone() -> None:
    store, _ = make(refusal(400, "invalid_scope"), grant("other"))
    with pytest.raises(AuthError):
        await store.get(CREATEPUT)

    assert (await store.get(READONLY)).authorization == "Bearer other"


@simulated
async def test_refused_credentials_are_refused_for_every_scope() -> None:
    store, transport = make(refusal(401, "invalid_client"))

    for scope in (CREATEPUT, READONLY):
        with pytest.raises(AuthError):
            await store.get(scope)

    assert len(transport.asked) == 1


@simulated
async def test_a_policy_of_fewer_attempts_holds_for_tokens_too() -> None:
    store, transport = make(answer(503), retry=RetryPolicy(attempts=2))

    with pytest.raises(AuthError):
        await store.get(CREATEPUT)

    assert len(transport.asked) == 2


@simulated
async def test_no_token_in_five_attempts_is_not_final() -> None:
    store, transport = make(*[answer(503)] * 5, grant())
    with pytest.raises(AuthError) as caught:
        await store.get(CREATEPUT)

    await store.get(CREATEPUT)

    assert (caught.value.retryable, caught.value.status) == (True, 503)
    assert len(transport.asked) == 6


@pytest.mark.parametrize(
    "trouble", [answer(503), refusal(401, "invalid_client"), TimedOutError("no answer")]
)
@simulated
async def test_every_caller_gets_an_error_of_its_own(trouble: Outcome) -> None:
    store, _ = make(After(1, trouble))

    errors = await asyncio.gather(
        *(store.get(CREATEPUT) for _ in range(10)), return_exceptions=True
    )

    assert {type(error) for error in errors} == {AuthError}
    assert len({id(error) for error in errors}) == 10
    assert len({str(error) for error in errors}) == 1


@simulated
async def test_an_auth_error_has_the_facts_and_its_cause() -> None:
    store, _ = make(refusal(401, "invalid_client", X_Request_ID="srv-7"))

    with pytest.raises(AuthError) as caught:
        await store.get(CREATEPUT)

    error = caught.value
    assert (error.code, error.status, error.request_id) == ("invalid_client", 401, "srv-7")
    assert error.__cause__ is not None


@simulated
async def test_a_connection_that_is_not_secure_is_final_for_those_who_wait() -> None:
    store, transport = make(ConnectError("TLS failed", retryable=False))

    errors = await asyncio.gather(*(store.get(CREATEPUT) for _ in range(2)), return_exceptions=True)

    assert [type(error) for error in errors] == [ConnectError] * 2
    assert errors[0] is not errors[1]
    assert len(transport.asked) == 1


@simulated
async def test_a_failed_renewal_in_the_background_goes_unnoticed_and_backs_off() -> None:
    store, transport = make(grant("first", expires_in=HOUR), answer(503))
    await store.get(CREATEPUT)

    tokens = await ask_at(store, range(3300, 3400))

    assert tokens == ["first"] * 100
    renewals = [request.at for request in transport.asked[1:]]
    assert len(renewals) <= 20
    assert max(later - sooner for sooner, later in pairwise(renewals)) >= 30


@simulated
async def test_a_failed_renewal_is_made_good_by_a_later_one() -> None:
    store, transport = make(grant("first", expires_in=HOUR), answer(503), grant("second"))
    await store.get(CREATEPUT)

    tokens = await ask_at(store, [3300, 3310, 3329, 3331, 3332])

    assert tokens == ["first", "first", "first", "first", "second"]
    assert len(transport.asked) == 3


@simulated
async def test_a_refused_renewal_is_rarely_repeated_and_counts_from_the_end_of_the_token() -> None:
    store, transport = make(grant("first", expires_in=HOUR), refusal(401, "invalid_client"))
    await store.get(CREATEPUT)

    tokens = await ask_at(store, range(3300, 3540, 10))
    with pytest.raises(AuthError):
        await ask_at(store, [10])

    assert set(tokens) == {"first"}
    assert len(transport.asked) == 3  # after three minutes once more


@simulated
async def test_who_joins_a_renewal_in_the_background_gets_five_attempts() -> None:
    store, transport = make(grant(expires_in=HOUR), After(14, answer(503)))
    await store.get(CREATEPUT)
    await asyncio.sleep(3530)
    assert store.current(CREATEPUT, now()) is not None  # begins the renewal
    await asyncio.sleep(12)

    with pytest.raises(AuthError):
        await store.get(CREATEPUT)

    assert len(transport.asked) == 1 + 5


# -- closing


@simulated
async def test_closing_turns_the_waiting_callers_away_and_leaves_no_task() -> None:
    store, _ = make(latency=60)
    callers = [asyncio.create_task(store.get(scope)) for scope in (CREATEPUT, READONLY)]
    await asyncio.sleep(1)

    await store.aclose()

    results = await asyncio.gather(*callers, return_exceptions=True)
    assert [type(result) for result in results] == [SessionError] * 2
    assert asyncio.all_tasks() == {asyncio.current_task()}
    assert now() < 1060


@simulated
async def test_closing_ends_a_renewal_in_the_background() -> None:
    store, _ = make(grant(expires_in=HOUR), After(60, grant()))
    await store.get(CREATEPUT)
    await asyncio.sleep(3300)
    await store.get(CREATEPUT)

    await store.aclose()

    assert asyncio.all_tasks() == {asyncio.current_task()}


def test_closing_during_a_fetch_is_no_failure_to_be_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    @simulated
    async def scenario() -> None:
        store, _ = make(latency=60)
        caller = asyncio.create_task(store.get(CREATEPUT))
        await asyncio.sleep(1)
        await store.aclose()
        with pytest.raises(SessionError):
            await caller

    scenario()

    assert caplog.records == []


@pytest.mark.parametrize("iterations", range(4))
@simulated
async def test_a_caller_that_is_cancelled_while_the_store_closes_is_cancelled(
    iterations: int,
) -> None:
    store, _ = make(latency=60)
    caller = asyncio.create_task(store.get(CREATEPUT))
    await asyncio.sleep(1)
    closing = asyncio.create_task(store.aclose())
    for _ in range(iterations):
        await asyncio.sleep(0)

    was_waiting = caller.cancel()

    result, _ = await asyncio.gather(caller, closing, return_exceptions=True)
    assert isinstance(result, asyncio.CancelledError) == was_waiting


# -- secrets

BASIC = b64encode(f"me:{SECRET}/+".encode()).decode()


@pytest.mark.parametrize(
    "echo",
    [
        pytest.param(f"{SECRET}/+", id="as it is"),
        pytest.param(quote_plus(f"{SECRET}/+"), id="as in a form"),
        pytest.param(BASIC, id="as in a header"),
    ],
)
@pytest.mark.parametrize("status", [401, 503])
def test_a_secret_that_the_server_echoes_is_in_no_error_and_no_log(
    echo: str, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    body = {"error": "invalid_request", "error_description": f"no client has {echo} here"}

    @simulated
    async def scenario() -> None:
        store, _ = make(answer(status, body), client_secret=f"{SECRET}/+")

        with pytest.raises(AuthError) as caught:
            await store.get(CREATEPUT)

        shown = "".join(traceback.format_exception(caught.value)) + repr(caught.value)
        assert echo not in shown + caplog.text
        assert "no client has" in shown

    scenario()


def test_a_failure_is_logged_once_without_any_token(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)

    @simulated
    async def scenario() -> None:
        store, _ = make(grant("token-canary", expires_in=HOUR), answer(503))
        await store.get(CREATEPUT)
        await ask_at(store, [3300, 3320])

    scenario()

    (record,) = [r for r in caplog.records if r.name == "timeback_async.token"]
    assert record.levelno == logging.WARNING
    assert "HTTP 503" in record.getMessage()
    assert "canary" not in caplog.text


# -- when there is none for long


@pytest.mark.parametrize("attempts", [1, 2, 5])
@pytest.mark.parametrize("trouble", [answer(503), refusal(429, Retry_After="600")])
@simulated
async def test_who_waits_however_long_asks_a_failing_endpoint_once_a_second_at_most(
    trouble: Outcome, attempts: int
) -> None:
    store, transport = make(trouble, retry=RetryPolicy(attempts=attempts), latency=0.02)
    while now() < 1300:
        await store.join(CREATEPUT, is_patient=True)

    assert len(transport.asked) <= 600


@simulated
async def test_who_does_not_wait_gets_the_failure_until_the_endpoint_may_be_asked_again() -> None:
    store, transport = make(refusal(429, Retry_After="600"))
    for _ in range(100):
        with pytest.raises(AuthError, match="429"):
            await store.get(CREATEPUT)

    assert len(transport.asked) == 1
    await asyncio.sleep(300)
    assert (await recovered(store, transport)).authorization == "Bearer well-again"


@pytest.mark.parametrize("foreign", [ZeroDivisionError(), asyncio.CancelledError()])
@simulated
async def test_an_exception_of_a_transport_of_the_callers_own_reaches_who_waits(
    foreign: BaseException,
) -> None:
    def fail(_: Sent) -> Outcome:
        raise foreign

    store, transport = make(fail)

    errors = await asyncio.gather(*(store.get(CREATEPUT) for _ in range(3)), return_exceptions=True)

    assert {type(error) for error in errors} <= {ZeroDivisionError, AuthError}
    assert (await recovered(store, transport)).authorization == "Bearer well-again"


@simulated
async def test_a_token_that_came_ends_the_time_without_one() -> None:
    store, transport = make(grant(expires_in=100), answer(503))
    await store.get(CREATEPUT)
    await asyncio.sleep(100)
    with pytest.raises(AuthError):
        await store.get(CREATEPUT)
    assert not store.is_gone(CREATEPUT)
    await asyncio.sleep(301)
    assert store.is_gone(CREATEPUT)

    await recovered(store, transport)

    assert not store.is_gone(CREATEPUT)


@simulated
async def test_a_closed_store_asks_for_nothing() -> None:
    store, transport = make(grant(expires_in=HOUR))
    await store.get(CREATEPUT)
    await store.aclose()
    await asyncio.sleep(3400)

    assert store.current(CREATEPUT, now()) is not None  # it is due to be renewed
    with pytest.raises(SessionError):
        await store.get(READONLY)
    assert len(transport.asked) == 1
