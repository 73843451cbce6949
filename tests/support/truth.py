"""A server that does what one row of the truth table says, and keeps what it has applied.

It shares no code with the client: it reads requests and writes answers as bytes. What comes is
counted for each record, so that a row can say what the server does attempt by attempt.
"""

import asyncio
import gzip
import json
from collections import Counter
from collections.abc import Callable
from typing import Any, Literal, NamedTuple
from urllib.parse import unquote

from tests.support.tcp import TcpServer, read_request, reset_at_close
from timeback_async import Outcome

Json = Any
Then = Literal["stay", "close", "reset", "wait"]
LINKS = [{"user": {"sourcedId": "p-1", "type": "user"}, "relationshipType": "parent"}]


class Asked(NamedTuple):
    """A request, as it came.

    Attributes:
        kind: "student", "user", "link" or "read".
        own: The id in the request; for a link, that of its student.
        sent: The record in it, without an envelope.
        attempt: How often the request has come, counted from 1.
    """

    kind: str
    own: str
    sent: Json
    attempt: int


Body = bytes | Json | Callable[[Asked], Json]


class Act(NamedTuple):
    """What the server does with one request."""

    answer: Callable[[Asked], bytes]
    is_applied: bool
    then: Then = "stay"


# -- bodies


def record(asked: Asked) -> Json:
    """Return what a good server answers with."""
    match asked.kind:
        case "read":
            return {"agents": LINKS}
        case "link":
            return asked.sent
    return {asked.kind: asked.sent}


def bare(asked: Asked) -> Json:
    """Return the record without its envelope, if it has one."""
    return LINKS if asked.kind == "read" else asked.sent


def beside(**members: Json) -> Callable[[Asked], Json]:
    """Return the record with other members beside its envelope."""
    return lambda asked: record(asked) | members


def enveloped(value: Json) -> Callable[[Asked], Json]:
    """Return the envelope of the record around another value."""
    names = {"read": "agents", "link": "agent"}
    return lambda asked: {names.get(asked.kind, asked.kind): value}


def named(rename: Callable[[Asked], str]) -> Callable[[Asked], Json]:
    """Return the record with another id, where it is the record of a person."""

    def body(asked: Asked) -> Json:
        if asked.kind not in ("student", "user"):
            return record(asked)
        return {asked.kind: asked.sent | {"sourcedId": rename(asked)}}

    return body


# -- acts


def encoded(body: Body, asked: Asked) -> bytes:
    value = body(asked) if callable(body) else body
    return value if isinstance(value, bytes) else json.dumps(value).encode()


def answer(status: int | str, body: bytes, *headers: str) -> bytes:
    head = [f"HTTP/1.1 {status} x", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(head).encode() + body


def says(status: int, body: Body = b"", *headers: str, is_applied: bool | None = None) -> Act:
    """Answer with a status; what is answered with 2xx is applied unless told otherwise."""
    applied = 200 <= status < 300 if is_applied is None else is_applied
    return Act(lambda asked: answer(status, encoded(body, asked), *headers), applied)


def refuses(body: Body, status: int = 200) -> Act:
    """Apply nothing, and say so with a 2xx."""
    return says(status, body, is_applied=False)


def sends(form: Callable[[bytes], bytes], then: Then = "stay") -> Act:
    """Apply, and answer with bytes made from the usual body."""
    return Act(lambda asked: form(encoded(record, asked)), True, then)


def loses(then: Then, is_applied: bool) -> Act:
    """Give no answer."""
    return Act(lambda asked: b"", is_applied, then)


# -- forms of an answer

HEAD = b"HTTP/1.1 200 OK\r\n"


def chunked(body: bytes) -> bytes:
    half = len(body) // 2
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in (body[:half], body[half:]))
    return HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\n\r\n"


def until_close(body: bytes) -> bytes:
    return b"HTTP/1.0 200 OK\r\n\r\n" + body


def zipped(body: bytes, end: int | None = None) -> bytes:
    """Return an answer in gzip, cut off at a byte."""
    return answer(200, gzip.compress(body)[:end], "Content-Encoding: gzip")


# -- rows


class Row(NamedTuple):
    """A behaviour of the server, and the outcome for each kind of record.

    Attributes:
        does: What the server does, attempt by attempt; the last act for ever.
        is_applied: Whether a record has arrived in the end.
        tokens: The answers of the token endpoint, the last one for ever.
        settings: Settings of the client that the row needs.
    """

    name: str
    does: list[Act]
    is_applied: bool
    people: Outcome
    link: Outcome
    read: Outcome
    tokens: list[bytes]
    settings: dict[str, Any]

    def expected(self, kind: str) -> Outcome:
        outcomes = {"link": self.link, "read": self.read}
        return outcomes.get(kind, self.people)


GRANT = answer(200, b'{"access_token": "granted", "token_type": "bearer", "expires_in": 3600}')


def row(
    name: str,
    does: Act | list[Act],
    is_applied: bool,
    people: Outcome,
    link: Outcome,
    read: Outcome,
    tokens: list[bytes] | None = None,
    **settings: Any,
) -> Row:
    acts = does if isinstance(does, list) else [does]
    return Row(name, acts, is_applied, people, link, read, tokens or [GRANT], settings)


class TruthServer(TcpServer):
    """Plays a row.

    Attributes:
        applied: What has arrived, by the id in the request.
        seen: How often each id was asked for.
    """

    def __init__(self, row: Row) -> None:
        super().__init__()
        self._row = row
        self.applied: dict[str, Json] = {}
        self.seen: Counter[str] = Counter()
        self._token_requests = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        then: Then = "stay"
        while then == "stay":
            request = await read_request(reader)
            data, then = self._act(request.method, request.path, request.body)
            writer.write(data)
            await writer.drain()
        if then == "wait":
            await asyncio.Event().wait()
        if then == "reset":
            reset_at_close(writer)

    def _act(self, method: str, path: str, body: bytes) -> tuple[bytes, Then]:
        if path.endswith("/token"):
            self._token_requests += 1
            tokens = self._row.tokens
            return tokens[min(self._token_requests, len(tokens)) - 1], "stay"
        asked = self._asked(method, path, body)
        acts = self._row.does
        act = acts[min(asked.attempt, len(acts)) - 1]
        if act.is_applied:
            self.applied[asked.own] = asked.sent
        return act.answer(asked), act.then

    def _asked(self, method: str, path: str, body: bytes) -> Asked:
        sent = json.loads(body or b"null")
        match path.split("/")[3:]:
            case ["students"]:
                kind, sent = "student", sent["student"]
                own = sent["sourcedId"]
            case ["students", own, "agents", _]:
                kind = "link"
            case ["users", own] if method == "PUT":
                kind, sent = "user", sent["user"]
            case ["users", own, "agents"]:
                kind = "read"
            case other:
                raise AssertionError(other)
        own = unquote(own)
        self.seen[own] += 1
        return Asked(kind, own, sent, self.seen[own])
