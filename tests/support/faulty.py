"""A roster server on a raw socket that does something else than asked, now and then.

It shares no code with the client. It notes what it did with each request, so that a result can be
held against it.
"""

import asyncio
import itertools
import json
import random
from collections import Counter
from collections.abc import Callable
from typing import Any, Literal, NamedTuple
from urllib.parse import unquote

from tests.support.tcp import Read, TcpServer, read_request, reset_at_close

# What a client can know after an attempt: that the record is there, that it is refused, that the
# attempt changed nothing for now, that the server failed; or nothing at all.
Says = Literal["saved", "refused", "wait", "failed", "nothing"]

_NUMBERS = itertools.count()


class Fault(NamedTuple):
    """What becomes of one request.

    Attributes:
        says: What a client can know from it.
        applies: Whether the record is stored.
        parts: Makes the bytes that are sent; there is a pause after each part.
        then: What becomes of the connection.
        pause: Seconds before each part; None for longer than the client waits.
    """

    says: Says
    applies: bool = False
    parts: Callable[["Asked"], list[bytes]] = lambda asked: []
    then: Literal["stay", "close", "reset"] = "stay"
    pause: float | None = 0.0


class Asked(NamedTuple):
    """One request for a record: its version, and whom it is about."""

    marker: str
    sourced_id: str
    envelope: str  # "student", "user", or "" for a link
    people: tuple[str, ...]


def http(status: str, body: bytes = b"", *headers: str) -> bytes:
    head = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(head).encode() + body


def _good(asked: Asked, sourced_id: str = "") -> bytes:
    if not asked.envelope:
        return http("201 Created")
    record = {"sourcedId": sourced_id or asked.sourced_id, "familyName": "x" * 300}
    return http("200 OK", json.dumps({asked.envelope: record}).encode())


def _foreign(asked: Asked) -> bytes:
    # Another one each time: a server that names the same twice has chosen that id.
    return _good(asked, f"other-{next(_NUMBERS)}")


def _chunked(asked: Asked, end: bytes) -> bytes:
    body = json.dumps({asked.envelope or "link": {"sourcedId": asked.sourced_id}}).encode()
    return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n%b" % (
        len(body),
        body,
        end,
    )


def _status(says: Says, status: str, *headers: str, applies: bool = False) -> Fault:
    return Fault(says, applies, lambda asked: [http(status, b"{}", *headers)])


def _cut(size: float) -> Callable[[Asked], list[bytes]]:
    return lambda asked: [(answer := _good(asked))[: int(len(answer) * size)]]


GOOD = Fault("saved", True, lambda asked: [_good(asked)])
FAULTS: dict[str, Fault] = {
    "400": _status("refused", "400 Bad Request"),
    "403": _status("refused", "403 Forbidden"),
    "404": _status("refused", "404 Not Found"),
    "409": _status("refused", "409 Conflict"),
    "422": _status("refused", "422 Unprocessable"),
    "302": _status("failed", "302 Found", "Location: /elsewhere"),
    "401": _status("wait", "401 Unauthorized"),
    "429": _status("wait", "429 Too Many Requests"),
    "429, Retry-After": _status("wait", "429 Too Many Requests", "Retry-After: 0"),
    "503, Retry-After": _status("wait", "503 Unavailable", "Retry-After: 0"),
    "408": _status("failed", "408 Request Timeout"),
    "500": _status("failed", "500 Oops"),
    "500, stored": _status("failed", "500 Oops", applies=True),
    "502": _status("failed", "502 Bad Gateway"),
    "503": _status("failed", "503 Unavailable"),
    "504, stored": _status("failed", "504 Gateway Timeout", applies=True),
    "closed before": Fault("nothing", then="close"),
    "closed after": Fault("nothing", True, then="close"),
    "reset before": Fault("nothing", then="reset"),
    "reset after": Fault("nothing", True, then="reset"),
    "cut in the head": Fault("nothing", True, lambda asked: [b"HTTP/1.1 200 OK\r\nCont"], "close"),
    "cut in the body": Fault("nothing", True, _cut(0.8), "close"),
    "cut by a reset": Fault("nothing", True, _cut(0.8), "reset"),
    "cut in a chunk": Fault("nothing", True, lambda asked: [_chunked(asked, b"ff\r\nx")], "close"),
    "not HTTP": Fault("nothing", True, lambda asked: [b"\x16\x03\x01 hello\r\n\r\n"], "close"),
    "HTML": Fault("nothing", False, lambda asked: [http("200 OK", b"<html>Please log in</html>")]),
    "another id": Fault("nothing", False, lambda asked: [_foreign(asked)]),
    "another id, stored": Fault("nothing", True, lambda asked: [_foreign(asked)]),
    "late": Fault("nothing", True, lambda asked: [_good(asked)], pause=None),
    "late, not stored": Fault("nothing", False, lambda asked: [_good(asked)], pause=None),
    # Odd, but good answers.
    "an answer too many": Fault("saved", True, lambda asked: [_good(asked), _foreign(asked)]),
    "two at once": Fault("saved", True, lambda asked: [_good(asked) + _foreign(asked)]),
    "slow": Fault(
        "saved",
        True,
        lambda asked: [_good(asked)[at : at + 100] for at in range(0, len(_good(asked)), 100)],
        pause=0.002,
    ),
    "chunked": Fault("saved", True, lambda asked: [_chunked(asked, b"0\r\n\r\n")]),
    "100 first": Fault(
        "saved", True, lambda asked: [b"HTTP/1.1 100 Continue\r\n\r\n", _good(asked)]
    ),
    "then closed": Fault("saved", True, lambda asked: [_good(asked)], "close"),
}
# These cost a time-out each, or end a run whose token has not served yet.
RARE = {"late": 0.1, "late, not stored": 0.1, "401": 0.3, "403": 0.1}
OF_PEOPLE = ("another id", "another id, stored")  # the answer about a link names no id


class FaultyServer(TcpServer):
    """Stores records, with a fault at a share of the requests.

    Args:
        chance: Decides which.
        share: The share.
        late: Seconds of a late answer.

    Attributes:
        done: The names of the faults (or "good"), by version, in the order of its requests.
        stored: The versions stored, by id, in their order.
        faults: How often each fault was done.
        requests: Number of requests for records.
        look: Called with each request for a record before anything is done.
    """

    def __init__(self, chance: random.Random, share: float, late: float) -> None:
        super().__init__()
        self._chance, self._share, self._late = chance, share, late
        self.done: dict[str, list[str]] = {}
        self.stored: dict[str, list[str]] = {}
        self.faults: Counter[str] = Counter()
        self.requests = self._tokens = 0
        self.look: Callable[[Asked], None] = lambda asked: None

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        then = "stay"
        while then == "stay":
            then = await self._answer(await read_request(reader), writer)
        if then == "reset":
            reset_at_close(writer)

    async def _answer(self, request: Read, writer: asyncio.StreamWriter) -> str:
        if request.path.endswith("/token"):
            self._tokens += 1
            token = {"access_token": f"t-{self._tokens}", "token_type": "bearer"}
            writer.write(http("200 OK", json.dumps(token | {"expires_in": 3600}).encode()))
            return "stay"
        asked = _asked(request.method, request.path, json.loads(request.body))
        self.requests += 1
        self.look(asked)
        name, fault = self._choose(asked)
        self.done.setdefault(asked.marker, []).append(name)
        if fault.applies:
            self.stored.setdefault(asked.sourced_id, []).append(asked.marker)
        for part in fault.parts(asked):
            if fault.pause != 0:
                await asyncio.sleep(self._late if fault.pause is None else fault.pause)
            writer.write(part)
            await writer.drain()
        return fault.then

    def _choose(self, asked: Asked) -> tuple[str, Fault]:
        if self._chance.random() >= self._share:
            return "good", GOOD
        name = self._chance.choice([*FAULTS])
        if self._chance.random() >= RARE.get(name, 1.0) or (
            name in OF_PEOPLE and not asked.envelope
        ):
            return "good", GOOD
        self.faults[name] += 1
        return name, FAULTS[name]


def _asked(method: str, path: str, body: dict[str, Any]) -> Asked:
    assert method == "PUT"
    match path.split("/")[3:]:
        case ["students"]:
            record, envelope = body["student"], "student"
        case ["users", _]:
            record, envelope = body["user"], "user"
        case ["students", student, "agents", agent]:
            return Asked(
                unquote(agent), unquote(agent), "", (unquote(student), body["user"]["sourcedId"])
            )
        case _:
            raise AssertionError(path)
    return Asked(record["givenName"], record["sourcedId"], envelope, ())
