"""A school that exports night after night, at random; read as a whole, and as far as it changed.

Both ways have a state with the same key and a server of their own, so that all they leave behind
can be compared.
"""

import asyncio
import json
import random
import shutil
from collections.abc import Mapping
from datetime import date, timedelta
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from tests.support.config import config
from tests.support.rosters import adult, child, csv_text, manifest, org, role
from timeback_async import ItemResult, Response, RetryPolicy, TimebackSession
from timeback_async.errors import ConfigError
from timeback_async.sync import (
    Change,
    Finding,
    PlanRefusedError,
    ReadOptions,
    State,
    plan,
    read_roster,
    run,
)
from timeback_async.testing._answers import Refusal
from timeback_async.testing._api import RosteringApi
from timeback_async.testing._stores import Stores

Row = dict[str, str]
TOKEN = json.dumps({"access_token": "t", "expires_in": 3600}).encode()
FIRST_DAY = date(2026, 9, 1)
NAMES = ["Ada", "Bo", "C\u00e9line", '="Dan"', "Eve &amp; Co", "", "NULL", " Fay ", 'G"i"l']
GRADES = ["05", "5", "kg", "", "13", "05,06", "Grade 9"]
ROLES = ["student", "parent", "guardian", "relative", "teacher", "Student", "aide"]
FORMS = ["1.1", "1.1", "1.2", "1.2", "plain", "two", "births"]


class Server:
    """TimeBack in memory: a request is a call. Some requests are refused, the same by both ways."""

    def __init__(self) -> None:
        self.stores = Stores()
        self._api = RosteringApi(self.stores, answer_bodies=False)
        self.refused: frozenset[str] = frozenset()

    async def aclose(self) -> None:
        """Nothing to close."""

    async def send(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None, timeout: float
    ) -> Response:
        parts = urlsplit(url)
        if parts.path.endswith("/token"):
            return Response(200, {}, TOKEN)
        text = parts.path + (body or b"").decode()
        if method != "GET" and any(f'"{own}"' in text or f"/{own}" in text for own in self.refused):
            return Response(422, {}, b"{}")
        try:
            status, answer = self._api.route(method, parts.path, parts.query, body or b"")
        except Refusal as refusal:
            return Response(refusal.status, {}, b"{}")
        return Response(status, {}, b"" if answer is None else json.dumps(answer).encode())

    def held(self) -> Any:
        stores = self.stores
        return stores.users, stores.students, stores.agents


class Night(NamedTuple):
    """What is exported, and how it is synced."""

    files: dict[str, bytes]
    day: date
    reading: dict[str, Any]
    planning: dict[str, Any]
    refused: frozenset[str]
    end: str


class Side:
    """One of both ways."""

    def __init__(self, folder: Path, *, is_fast: bool) -> None:
        self.server, self.is_fast = Server(), is_fast
        self.state = folder / "state.db"
        self.still = 0

    def sync(self, path: Path, night: Night) -> Any:
        """Sync a night; return all that can be seen of it."""
        self.server.refused = night.refused
        found: list[Finding] = []
        with State(self.state, config()) as state:
            since = state if self.is_fast and not night.planning.get("resend") else None
            options = ReadOptions(today=night.day, **night.reading)
            try:
                roster = read_roster(path, options, on_finding=found.append, since=since)
            except ConfigError as error:
                return str(error)
            with roster:
                if roster.night is not None and roster.night.changed is not None:
                    self.still += roster.night.still.total()
                refusal = ""
                try:
                    changes = plan(roster, state, **night.planning)
                except PlanRefusedError as error:
                    changes, refusal = error.plan, str(error).replace(str(self.state), "")
                sent = sorted(map(_told, changes), key=repr)
                seen = [
                    sent, changes.unchanged, dict(changes.absent), refusal, roster.count,
                    [_told_source(each) for each in roster.each_source()], roster.format,
                    sorted(map(repr, roster.left_out())), sorted(map(repr, found)),
                    sorted((str(cause), cause.count) for cause in roster.findings.causes),
                ]  # fmt: skip
                if not refusal and night.end != "dry":
                    report = asyncio.run(self._run(changes, night.end))
                    seen += [report.counts, report.ok, sorted(map(repr, report.failures))]
            state.settle()
            records = sorted(
                entry._replace(attempts=0, time=0.0, status=None) for entry in state.entries()
            )
            return [*seen, records, self.server.held()]

    async def _run(self, changes: Any, end: str) -> Any:
        settings = config(retry=RetryPolicy(attempts=1), max_in_flight=1, adaptive=False)
        async with TimebackSession(settings, transport=self.server) as session:
            running = None
            left = 3

            def take(change: Change, result: ItemResult) -> None:
                nonlocal left
                left -= 1
                if left == 0 and end == "stop" and running is not None:
                    running.stop()

            running = run(session, changes, on_result=take)
            return await running


def _told(change: Change) -> Any:
    return (
        change.phase, change.action, change.kind, change.sourced_id, change.content, change.file,
        change.line, change.known, change.gaps,
    )  # fmt: skip


def _told_source(source: Any) -> Any:
    return tuple(getattr(source, name) for name in source.__struct_fields__)


class School:
    """A school whose people come, go and change, from one night to the next."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.form = self.chance.choice(FORMS)
        self.people: dict[str, Row] = {}
        self.roles: list[Row] = []
        self.births: dict[str, str] = {}
        self.profiles: dict[str, str] = {}
        self.orgs = {"school": "school", "other": "school"}
        self.day = FIRST_DAY
        self.reading: dict[str, Any] = {}
        self.damage: list[bytes] = []
        self._number = 0
        for _ in range(self.chance.choice([3, 10, 25])):
            self._arrive()

    # -- what happens

    def night(self) -> Night:
        chance = self.chance
        for _ in range(chance.choice([0, 0, 1, 1, 1, 2, 3, 6])):
            chance.choice(self._events())()
        self.day += timedelta(chance.choice([0, 1, 1, 1, 1, 7, 40, -1]))
        planning: dict[str, Any] = {"max_removals": "100%", "allow_new_ids": True}
        if chance.random() < 0.3:
            planning["deactivate_absent"] = True
        if chance.random() < 0.3:
            planning["unlink_absent"] = True
        if chance.random() < 0.05:
            planning["resend"] = True
        if chance.random() < 0.05:
            planning["max_removals"], planning["allow_new_ids"] = "5%", False
        ids = [*self.people, "x-0"]
        refused = frozenset(chance.sample(ids, min(len(ids), chance.choice([0, 0, 0, 0, 0, 1, 2]))))
        end = chance.choice(["whole"] * 16 + ["dry", "stop"])
        return Night(self._files(), self.day, dict(self.reading), planning, refused, end)

    def _events(self) -> list[Any]:
        often: list[Any] = [
            self._arrive,
            self._leave,
            self._change,
            self._change,
            self._relate,
            self._relate,
        ]
        seldom = [
            self._move, self._repeat, self._share, self._return, self._turn, self._org,
            self._option, self._break, self._mend, self._status, self._profile, self._columns,
        ]  # fmt: skip
        return often * 2 + seldom

    def _own(self) -> str:
        """Return somebody who is there."""
        return self.chance.choice([*self.people] or ["x-0"])

    def _arrive(self) -> None:
        self._number += 1
        own, chance = f"p-{self._number}", self.chance
        kind = chance.choice(["student", *ROLES[:5]])
        make = child if kind == "student" else adult
        agents = self._some_agents() if kind == "student" or chance.random() < 0.1 else ""
        row = make(own, agents=agents, role=kind) if kind != "student" else child(own, agents)
        row["userIds"] = chance.choice(
            ["", f"{{LDAP:{own}}}", f"{{LDAP:{own}}}", f"{{LDAP:{self._number % 7}}}"]
        )
        self.people[own] = row
        self._give_role(own, kind)
        if chance.random() < 0.5:
            self.births[own] = chance.choice(
                ["2012-04-01", "2011-04-01", "2010-4-1", "2026-09-20", "4/5/2011"]
            )

    def _give_role(self, own: str, kind: str) -> None:
        chance = self.chance
        days = ["", "", "2026-08-01", "2026-09-05", "2026-10-01", "2027-01-01"]
        self.roles.append(
            role(
                own, kind, beginDate=chance.choice(days), endDate=chance.choice(days),
                orgSourcedId=chance.choice([*self.orgs, "school", "school"]),
            )
        )  # fmt: skip

    def _leave(self) -> None:
        own = self._own()
        self.gone = self.people.pop(own, None)
        if self.chance.random() < 0.7:
            self.roles = [row for row in self.roles if row["userSourcedId"] != own]
            self.births.pop(own, None)

    def _return(self) -> None:
        gone = getattr(self, "gone", None)
        if gone is not None:
            self.people[gone["sourcedId"]] = gone

    def _change(self) -> None:
        chance, own = self.chance, self._own()
        row = self.people.get(own)
        if row is None:
            return
        field, values = chance.choice(
            [
                ("givenName", NAMES), ("familyName", NAMES), ("grades", GRADES), ("role", ROLES),
                ("orgSourcedIds", ["school", "other", "school,other", "strange", ""]),
                ("enabledUser", ["true", "false", "TRUE", "", "maybe"]),
                ("email", ["a@canary.example", "none", "mailto:b@canary.example", ""]),
                ("username", [f"canary-{own}", "canary-p-1", "", "=x"]),
                ("birthDate", ["2012-04-01", ""]),
            ]
        )  # fmt: skip
        self.people[own] = row | {field: chance.choice(values)}

    def _some_agents(self) -> str:
        """Return agents for a student; seldom somebody else, or nobody who is there."""
        chance = self.chance
        known = [own for own, row in self.people.items() if row["role"] in ROLES[1:4]]
        if chance.random() < 0.1:
            known = [*self.people, "x-1"]
        return ",".join(chance.sample(known, min(len(known), chance.choice([0, 1, 2]))))

    def _relate(self) -> None:
        own = self._own()
        if own in self.people and (
            self.people[own]["role"] == "student" or self.chance.random() < 0.1
        ):
            self.people[own] = self.people[own] | {"agentSourcedIds": self._some_agents()}

    def _move(self) -> None:
        order = [*self.people]
        self.chance.shuffle(order)
        self.people = {own: self.people[own] for own in order}

    def _repeat(self) -> None:
        own = self._own()
        if own in self.people:
            changes = self.chance.choice([{}, {"orgSourcedIds": "other"}, {"givenName": "Else"}])
            self.people[f"again-{own}-{self._number}"] = self.people[own] | changes

    def _share(self) -> None:
        own = self._own()
        if own in self.people:
            self.people[own] = self.people[own] | {"username": "canary-p-1"}

    def _turn(self) -> None:
        if self.roles:
            place = self.chance.randrange(len(self.roles))
            own = self.roles.pop(place)["userSourcedId"]
            if self.chance.random() < 0.7:
                self._give_role(own, self.chance.choice(ROLES))

    def _org(self) -> None:
        self.orgs["other"] = self.chance.choice(["school", "district", "department"])

    def _option(self) -> None:
        options: list[tuple[str, list[Any]]] = [
            ("default_org", ["school", None]), ("relationship", ["relative", None]),
            ("grades", ["none", "ceds-to-timeback"]), ("date_format", ["%d/%m/%Y", None]),
            ("org_map", [{"school": "S", "other": "O"}, None]), ("mode", ["delta", None, None]),
            ("encoding", ["cp1252", None]), ("accept", [("agent-unknown",), ()]),
        ]  # fmt: skip
        name, values = self.chance.choice(options)
        self.reading[name] = self.chance.choice(values)
        self.reading = {name: value for name, value in self.reading.items() if value is not None}

    def _break(self) -> None:
        self.damage.append(
            self.chance.choice(
                [b"\r\n", b",,,,,,\r\n", b'p-7,"unclosed\r\n', b"p-8,true\r\n", b'a"b,c"d\r\n',
                 b"p-9,,true\r\n", b"3 rows\r\n", b"p-1,\xe9\r\n", b"p-2\r\n"]
            )
        )  # fmt: skip

    def _mend(self) -> None:
        self.damage.clear()

    def _status(self) -> None:
        own = self._own()
        if own in self.people:
            status = self.chance.choice(["", "active", "tobedeleted", "inactive", "odd"])
            day = self.chance.choice(["", "2026-01-01T00:00:00Z"])
            self.people[own] = self.people[own] | {"status": status, "dateLastModified": day}

    def _profile(self) -> None:
        self.profiles[self._own()] = self.chance.choice(["profile", "other", ""])

    def _columns(self) -> None:
        for own, row in self.people.items():
            self.people[own] = dict(sorted(row.items()))

    # -- what is exported

    def _files(self) -> dict[str, bytes]:
        people, form = [*self.people.values()], self.form
        tables: dict[str, list[Row]] = {"orgs": [*map(org, self.orgs, self.orgs.values())]}
        if form == "1.2":
            people = [
                {name: cell for name, cell in row.items() if name not in ("role", "orgSourcedIds")}
                for row in people
            ]
            tables["roles"] = self.roles
            tables["userProfiles"] = [
                {"sourcedId": f"f-{own}", "userSourcedId": own, "username": name}
                for own, name in self.profiles.items()
            ]
        if form in ("1.2", "births"):
            tables["demographics"] = [
                {"sourcedId": own, "birthDate": day} for own, day in self.births.items()
            ]
        tables["users"] = people
        if form != "plain":
            modes = {name: "bulk" if rows else "absent" for name, rows in tables.items()}
            tables["manifest"] = [*map(dict, manifest("1.2" if form == "1.2" else "1.1", **modes))]
        files = {f"{name}.csv": csv_text(rows).encode() for name, rows in tables.items() if rows}
        if form == "two" and people:
            half = len(people) // 2
            files["users.csv"] = csv_text(people[:half] or people).encode()
        for damage in self.damage:
            name = "users.csv" if form != "1.2" or damage[:1] == b"p" else "roles.csv"
            lines = files.get(name, b"").splitlines(keepends=True)
            if lines:
                place = self.chance.randint(1, len(lines))
                files[name] = b"".join([*lines[:place], damage, *lines[place:]])
        return files


def history(seed: int, folder: Path, nights: int = 4) -> int:
    """Sync some nights in both ways; return how many records were still.

    Raises:
        AssertionError: Both ways differ.
    """
    shutil.rmtree(folder, ignore_errors=True)
    sides = []
    for name, is_fast in (("fast", True), ("slow", False)):
        (folder / name).mkdir(parents=True)
        sides.append(Side(folder / name, is_fast=is_fast))
    State(sides[0].state).close()
    shutil.copyfile(sides[0].state, sides[1].state)  # the same key
    school = School(seed)
    files: dict[str, bytes] = {}
    for number in range(nights):
        night = school.night()
        if number and school.chance.random() < 0.15:
            night = night._replace(files=files)  # the same to the byte
        files = night.files
        export = folder / "export"
        shutil.rmtree(export, ignore_errors=True)
        export.mkdir()
        for name, content in files.items():
            (export / name).write_bytes(content)
        fast, slow = (side.sync(export, night) for side in sides)
        assert fast == slow, f"history {seed}, night {number}"
    return sides[0].still
