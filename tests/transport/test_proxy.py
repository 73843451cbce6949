import asyncio
import socket
import ssl
from pathlib import Path

import pytest
import trustme
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from tests.support.config import config
from tests.support.proxy import Tunnel
from tests.support.raw import DROP, RawServer, Reply, reply
from tests.support.sending import failure, opened, put, told
from timeback_async import TimebackSession
from timeback_async._transport import proxy as _proxy
from timeback_async._transport.proxy import address_of, proxy_for
from timeback_async.errors import ConfigError, ConnectError, ProtocolError

HTTPS, HTTP = "https://timeback.invalid", "http://localhost:80"


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for kind in ("http", "https", "all", "no"):
        monkeypatch.delenv(f"{kind}_proxy", raising=False)
        monkeypatch.delenv(f"{kind}_proxy".upper(), raising=False)


# -- what the environment says


@pytest.mark.parametrize(
    ("variables", "origin", "proxy"),
    [
        ({}, HTTPS, None),
        ({"HTTPS_PROXY": "http://p:3128"}, HTTPS, "http://p:3128"),
        ({"https_proxy": "http://p:3128"}, HTTPS, "http://p:3128"),
        ({"https_proxy": "http://lower:1", "HTTPS_PROXY": "http://upper:1"}, HTTPS, "http://lower:1"),
        ({"HTTPS_PROXY": "http://p:3128"}, HTTP, None),
        ({"HTTP_PROXY": "http://p:3128"}, HTTPS, None),
        ({"HTTP_PROXY": "http://p:3128"}, HTTP, "http://p:3128"),
        ({"ALL_PROXY": "http://p:3128"}, HTTPS, "http://p:3128"),
        ({"all_proxy": "http://p:3128"}, HTTP, "http://p:3128"),
        ({"ALL_PROXY": "http://all:1", "HTTPS_PROXY": "http://https:1"}, HTTPS, "http://https:1"),
        ({"ALL_PROXY": "http://all:1", "HTTPS_PROXY": ""}, HTTPS, "http://all:1"),
        ({"HTTPS_PROXY": ""}, HTTPS, None),
        ({"HTTPS_PROXY": "  "}, HTTPS, None),
        ({"HTTPS_PROXY": "127.0.0.1:3128"}, HTTPS, "http://127.0.0.1:3128"),
        ({"HTTPS_PROXY": "//proxy:3128"}, HTTPS, "http://proxy:3128"),
        ({"HTTPS_PROXY": "user:pass@proxy:3128"}, HTTPS, "http://user:pass@proxy:3128"),
        ({"HTTPS_PROXY": " http://p:3128/ "}, HTTPS, "http://p:3128/"),
        ({"HTTPS_PROXY": "HTTP://p"}, HTTPS, "http://p"),
        ({"HTTPS_PROXY": "https://p"}, HTTPS, "https://p"),
        ({"HTTPS_PROXY": "http://[::1]:3128"}, HTTPS, "http://[::1]:3128"),
        ({"ALL_PROXY": "http://p:1", "NO_PROXY": "timeback.invalid"}, HTTPS, None),
        ({"ALL_PROXY": "http://p:1", "no_proxy": "other, .invalid"}, HTTPS, None),
        ({"ALL_PROXY": "http://p:1", "NO_PROXY": "*"}, HTTPS, None),
        ({"ALL_PROXY": "http://p:1", "NO_PROXY": "localhost:80"}, HTTP, None),
        ({"ALL_PROXY": "http://p:1", "NO_PROXY": "::1"}, "http://[::1]:80", None),
        ({"ALL_PROXY": "http://p:1", "NO_PROXY": "x, 127.0.0.0/8"}, "http://127.0.0.1:80", None),
        ({"ALL_PROXY": "http://p:1", "NO_PROXY": "fd00::/8"}, "http://[fd00::1]:80", None),
        ({"ALL_PROXY": "http://p:1", "NO_PROXY": "10.0.0.0/8"}, "http://127.0.0.1:80", "http://p:1"),
        ({"ALL_PROXY": "http://p:1", "NO_PROXY": "10.0.0.0/99,/"}, HTTPS, "http://p:1"),
        ({"ALL_PROXY": "http://p:1", "NO_PROXY": "other"}, HTTPS, "http://p:1"),
    ],
)  # fmt: skip
def test_the_variables_name_the_proxy_as_they_do_for_curl(
    variables: dict[str, str], origin: str, proxy: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)

    found = proxy_for(origin + "/")

    assert found == (proxy and URL(proxy))


@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "All_Proxy"])
@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("socks5://canary:canary@127.0.0.1:1080", "not those for SOCKS"),
        ("socks4://127.0.0.1:1080", "not those for SOCKS"),
        ("ftp://127.0.0.1:1080", "only proxies of the form http://HOST:PORT"),
        ("http://", "not the URL of a proxy"),
        ("http://:3128", "not the URL of a proxy"),
        ("http://proxy:0", "not the URL of a proxy"),
        ("http://proxy:canary", "not the URL of a proxy"),
        ("http://proxy:99999", "not the URL of a proxy"),
        ("http://my proxy:3128", "not the URL of a proxy"),
        ("http://proxy\x07:3128", "not the URL of a proxy"),
        ("http://a..b:3128", "not the URL of a proxy"),
        ("http://canary:1/canary@proxy:3128", "percent-encoded"),
        ("http://canary:1#canary@proxy:3128", "percent-encoded"),
        ("http://canary:1?canary@proxy:3128", "percent-encoded"),
        ("http://canary:canary€@proxy:3128", "percent-encoded"),
    ],
)
async def test_a_proxy_that_cannot_be_used_is_refused_when_the_session_is_opened(
    variable: str, value: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, value)
    session = TimebackSession(config(trust_env=True))

    with pytest.raises(ConfigError, match=words) as caught:
        await session.open()

    assert str(caught.value).startswith(f"{variable}: ")
    assert "canary" not in str(caught.value)


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")))
def test_any_value_is_a_proxy_or_refused(value: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HTTPS_PROXY", value)
        try:
            proxy = proxy_for(f"{HTTPS}/")
        except ConfigError:
            return

    assert proxy is None or address_of(proxy).isprintable()


def test_a_wrong_proxy_among_the_settings_of_the_system_is_called_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(_proxy, "getproxies", lambda: {"https": "socks4://127.0.0.1:1080"})

    with pytest.raises(ConfigError, match="the proxy of the system: only"):
        proxy_for(f"{HTTPS}/")


async def test_without_trust_env_no_variable_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", "socks5://127.0.0.1:1080")
    async with RawServer() as server, opened(server.url) as transport:
        response = await put(transport, f"{server.url}/x")

    assert response.status == 200


# -- through the proxy


async def test_the_environments_proxy_is_used_when_asked_for_and_netrc_never(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine timeback.invalid login canary password canary\n")
    monkeypatch.setenv("NETRC", str(netrc))
    url = "http://localhost.invalid"
    async with RawServer() as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        monkeypatch.setattr("timeback_async._config._is_loopback", lambda host: True)
        async with opened(url, trust_env=True) as transport:
            response = await put(transport, f"{url}/x")

    assert response.status == 200
    assert proxy.requests[0].startswith(b"PUT http://localhost.invalid/x HTTP/1.1")
    assert b"Authorization: Bearer " in proxy.requests[0]
    assert b"Basic" not in proxy.requests[0]


async def test_a_proxy_may_be_bypassed(monkeypatch: pytest.MonkeyPatch) -> None:
    async with RawServer() as server:
        monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
        monkeypatch.setenv("no_proxy", "localhost,127.0.0.1")
        async with opened(server.url, trust_env=True) as transport:
            response = await put(transport, f"{server.url}/x")

    assert response.status == 200


def certified(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(context)
    return context


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_https_goes_through_a_tunnel_to_which_only_the_proxy_has_the_key(
    scheme: str, authority: trustme.CA, monkeypatch: pytest.MonkeyPatch
) -> None:
    trust = ssl.create_default_context()
    authority.configure_trust(trust)
    tls = certified(authority)
    async with (
        RawServer(tls=tls) as server,
        Tunnel(server.port, tls if scheme == "https" else None) as proxy,
    ):
        monkeypatch.setenv("https_proxy", proxy.url.replace("://", "://me:proxy-canary@"))
        async with opened(server.url, trust=trust, trust_env=True) as transport:
            for _ in range(2):
                response = await put(transport, f"{server.url}/x")

    assert response.status == 200
    assert len(server.requests) == 2
    (head,) = proxy.requests
    assert head.startswith(b"CONNECT localhost:%d HTTP/1.1" % server.port)
    assert b"Proxy-Authorization: Basic bWU6cHJveHktY2FuYXJ5" in head
    assert b"Bearer" not in head
    assert b"Basic" not in server.requests[0]


# -- what the proxy says instead


def through(proxy: RawServer, monkeypatch: pytest.MonkeyPatch, kind: str = "https") -> str:
    """Have the environment name a proxy, with a password; return how messages call it."""
    monkeypatch.setenv(f"{kind}_proxy", f"http://me:proxy-canary@localhost:{proxy.port}")
    return f"the proxy localhost:{proxy.port}"


@pytest.mark.parametrize(
    ("status", "is_retryable"),
    [(407, False), (403, False), (302, False), (400, False), (502, True), (503, True)],
)
async def test_a_proxy_that_refuses_says_so_at_once(
    status: int, is_retryable: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with RawServer(reply(b"<html>", f"{status} No")) as proxy:
        name = through(proxy, monkeypatch)
        error = await failure(HTTPS, trust_env=True)

    assert isinstance(error, ConnectError)
    assert str(error) == f"{name} refused: HTTP {status}"
    assert error.retryable is is_retryable
    assert proxy.requests[0].startswith(b"CONNECT ")


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (DROP, " closed the connection"),
        (Reply(then="reset"), " closed the connection"),
        (
            Reply(b"SSH-2.0-OpenSSH\r\n\r\n"),
            ": the answer is not HTTP: it has no valid status line",
        ),
    ],
)
async def test_a_proxy_that_does_not_answer_as_one_is_named(
    answer: Reply, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with RawServer(answer) as proxy:
        name = through(proxy, monkeypatch)
        error = await failure(HTTPS, trust_env=True)

    assert isinstance(error, ConnectError)
    assert str(error) == name + words
    assert error.retryable


async def test_a_proxy_that_never_answers_is_no_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    async with RawServer(Reply()) as proxy:
        through(proxy, monkeypatch)
        error = await failure(HTTPS, timeout=0.05, trust_env=True)

    assert isinstance(error, ConnectError)
    assert str(error) == "no connection within 0.05 s"


async def test_a_proxy_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{unused.getsockname()[1]}"
        monkeypatch.setenv("https_proxy", f"http://me:proxy-canary@{address}")

        error = await failure(HTTPS, trust_env=True)

    assert isinstance(error, ConnectError)
    assert str(error) == f"cannot connect to the proxy {address}: Connection refused"
    assert error.retryable


async def test_a_proxy_of_an_unknown_name_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    async def getaddrinfo(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", getaddrinfo)
    monkeypatch.setenv("https_proxy", "http://me:proxy-canary@proxy.invalid:3128")

    error = await failure(HTTPS, trust_env=True)

    assert isinstance(error, ConnectError)
    assert (str(error), error.unknown_host) == ("unknown proxy host proxy.invalid", True)


async def test_a_certificate_behind_a_proxy_is_checked(
    authority: trustme.CA, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with RawServer(tls=certified(authority)) as server, Tunnel(server.port) as proxy:
        monkeypatch.setenv("https_proxy", proxy.url.replace("://", "://me:proxy-canary@"))
        error = await failure(server.url, trust_env=True)

    assert isinstance(error, ConnectError)
    assert "TLS with localhost failed: unable to get local issuer certificate" in str(error)


@pytest.mark.parametrize("is_proxied", [True, False])
async def test_407_is_the_proxys_answer_where_there_is_a_proxy(
    is_proxied: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    refusal = reply(status="407 Proxy Authentication Required")
    async with RawServer(refusal) as server, opened(server.url, trust_env=False) as direct:
        if not is_proxied:
            assert (await put(direct, f"{server.url}/x")).status == 407
            return
        name = through(server, monkeypatch, "http")
        error = await failure("http://localhost:9", trust_env=True)

    assert isinstance(error, ConnectError)
    assert (str(error), error.retryable) == (f"{name} refused: HTTP 407", False)


async def test_an_answer_through_a_proxy_that_is_not_http_says_nothing_of_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with RawServer(Reply(b"SSH-2.0-OpenSSH\r\n\r\n")) as proxy:
        through(proxy, monkeypatch, "http")
        error = await failure("http://localhost:9", trust_env=True)

    assert isinstance(error, ProtocolError)
    assert "proxy-canary" not in told(error)
