"""A town whose school is synced night after night, with TimeBack in memory and an oracle."""

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.support.config import config
from tests.support.damages.case import Case
from tests.support.damages.files import write
from tests.support.damages.reading import findings_of, written
from tests.support.damages.verdict import Outcome, facts_of
from timeback_async import Response, TimebackSession
from timeback_async.errors import ConfigError
from timeback_async.sync import Finding, LeftOut, ReadOptions, State, plan, read_roster, run
from timeback_async.testing._answers import Refusal
from timeback_async.testing._api import RosteringApi
from timeback_async.testing._stores import Stores

__all__ = ["Town"]

TOKEN = json.dumps({"access_token": "t", "expires_in": 3600}).encode()


class _Transport:
    """The mock server's API without its HTTP: a request is a call."""

    def __init__(self, stores: Stores) -> None:
        self.requests: list[str] = []
        self._api = RosteringApi(stores, answer_bodies=False)

    async def aclose(self) -> None:
        """Nothing to close."""

    async def send(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None, timeout: float
    ) -> Response:
        parts = urlsplit(url)
        if parts.path.endswith("/token"):
            return Response(200, {}, TOKEN)
        self.requests.append(f"{method} {parts.path}")
        try:
            status, answer = self._api.route(method, parts.path, parts.query, body or b"")
        except Refusal as refusal:
            return Response(refusal.status, {}, b"{}")
        return Response(status, {}, b"" if answer is None else json.dumps(answer).encode())


class Town:
    """TimeBack, the state, and the folder into which a school exports.

    Attributes:
        stores: What TimeBack holds.
        requests: Those of the last night.
        failures: Of the last night.
    """

    def __init__(self, folder: Path) -> None:
        self.stores = Stores()
        self.requests: list[str] = []
        self.failures: list[str] = []
        self._folder, self._state = folder / "export", folder / "state.db"

    def state(self) -> State:
        return State(self._state, config(), "plain")

    def sync(self, case: Case, **how: Any) -> Outcome:
        """Read, plan and run one package; return what TimeBack holds then."""
        files, _ = written(case)
        write(self._folder, files)
        transport = _Transport(self.stores)
        self.failures = []
        findings: list[Finding] = []
        left_out: list[LeftOut] = []
        refusal = None
        try:
            with (
                self.state() as state,
                read_roster(self._folder, ReadOptions(**case.options)) as roster,
            ):
                changes = plan(roster, state, **how)
                report = asyncio.run(self._run(changes, transport))
                findings, left_out = findings_of(roster), list(roster.left_out())
                for failure in report.failures:
                    self.failures.append(str(failure))
                    findings.append(
                        Finding(
                            "left-out-before", "error", failure.file, failure.line, "", failure.who
                        )
                    )
                    left_out.append(LeftOut(failure.file, failure.line, "", ""))
        except ConfigError as error:
            refusal = str(error)
        self.requests = transport.requests
        return self.outcome(refusal, findings, left_out)

    async def _run(self, changes: Any, transport: Any) -> Any:
        async with TimebackSession(config(), transport=transport) as session:
            return await run(session, changes)

    def outcome(
        self, refusal: str | None = None, findings: Any = (), left_out: Any = ()
    ) -> Outcome:
        stores = self.stores
        people = {own: facts_of(each) for own, each in (stores.users | stores.students).items()}
        links = {
            (student, agent["user"]["sourcedId"]): agent["relationshipType"]
            for (student, _), agent in stores.agents.items()
        }
        both = stores.users.keys() & stores.students.keys()
        return Outcome(
            refusal=refusal, people=people, links=links, findings=list(findings),
            left_out=list(left_out), repeated=[f"both kinds: {own!r}" for own in both],
        )  # fmt: skip
