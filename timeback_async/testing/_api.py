"""The answers of the rostering API, given the records in the stores: no HTTP, no faults.

It parses and checks JSON on its own (`_schema`), so that it cannot share an error with the client.
"""

import json
from typing import Any
from urllib.parse import parse_qs, unquote

from ._answers import Refusal
from ._schema import agent_problems, id_problems, student_problems, user_problems
from ._stores import Stores, select

__all__ = ["RosteringApi"]

ROSTERING = "/rostering/1.0/"


class RosteringApi:
    """The operations of the rostering API.

    Attributes:
        answer_bodies: Whether a write is answered with the record, or without a body.
    """

    def __init__(self, stores: Stores, answer_bodies: bool) -> None:
        self._stores = stores
        self.answer_bodies = answer_bodies

    def route(self, method: str, path: str, query: str, body: bytes) -> tuple[int, object]:
        """Return the status and the JSON of the answer to an authorised request.

        Args:
            method: Such as "PUT".
            path: The whole path, percent-encoded, without the query.
            query: The query without its question mark, or "".
            body: The request's body.

        Returns:
            The status, and what to send as JSON; None for an answer without a body.

        Raises:
            Refusal: The answer is an error.
        """
        if not path.startswith(ROSTERING):
            raise Refusal(404, "no such path")
        match method, [unquote(part) for part in path.removeprefix(ROSTERING).split("/")]:
            case "PUT", ["students"]:
                return self._put_student(body)
            case "PUT", ["users", user_id]:
                return self._put_user(user_id, body)
            case "PUT", ["students", student_id, "agents", agent_id]:
                return self._put_agent(student_id, agent_id, body)
            case "DELETE", ["students", student_id, "agents", agent_id]:
                if self._stores.agents.pop((student_id, agent_id), None) is None:
                    raise Refusal(404, "no such agent")
                return 204, None
            case "GET", ["users", user_id, "agents"]:
                self._existing(user_id)
                return 200, {"agents": self._stores.agents_of(user_id)}
            case "GET", ["users", user_id]:
                return 200, {"user": _dated(self._existing(user_id))}
            case "GET", ["users"]:
                people = (self._stores.students | self._stores.users).values()
                return self._list("users", [_dated(person) for person in people], query)
            case "GET", ["orgs"]:
                return self._list("orgs", list(self._stores.orgs.values()), query)
        raise Refusal(404, "no such path")

    def _put_student(self, body: bytes) -> tuple[int, object]:
        student = _envelope(body, "student")
        _refuse(student_problems(student))
        self._stores.put_student(student)
        if not self.answer_bodies:
            return 204, None
        org = student["primaryOrg"]
        role = {"roleType": "primary", "role": "student", "org": org}
        return 200, {"student": {**_dated(student), "roles": [role], "userIds": [], "agents": []}}

    def _put_user(self, user_id: str, body: bytes) -> tuple[int, object]:
        user = _envelope(body, "user")
        _refuse(user_problems(user))
        if user["sourcedId"] != user_id:
            raise Refusal(400, "sourcedId: differs from the one in the path")
        self._stores.put_user(user)
        return 201, {"user": _dated(user)} if self.answer_bodies else None

    def _put_agent(self, student_id: str, agent_id: str, body: bytes) -> tuple[int, object]:
        agent = _json(body)
        _refuse(agent_problems(agent))
        _refuse([*id_problems(student_id, "sourcedId"), *id_problems(agent_id, "agentId")])
        if student_id not in self._stores.students:
            raise Refusal(404, "no such student")
        self._existing(agent["user"]["sourcedId"])
        self._stores.agents[student_id, agent_id] = agent
        return 201, {**agent, "agentId": agent_id} if self.answer_bodies else None

    def _existing(self, sourced_id: str) -> dict[str, Any]:
        person = self._stores.person(sourced_id)
        if person is None:
            raise Refusal(404, "no such user")
        return person

    def _list(self, name: str, records: list[dict[str, Any]], query: str) -> tuple[int, object]:
        parameters = {key: values[0] for key, values in parse_qs(query).items()}
        try:
            page, limit, offset, total = select(records, parameters)
        except ValueError as error:
            raise Refusal(400, f"{error}: is not valid") from None
        return 200, {name: page, "limit": limit, "offset": offset, "total": total}


def _json(body: bytes) -> Any:
    try:
        root = json.loads(body, parse_constant=_no_constant)
        if b"\\u" in body:  # an escape may be half a surrogate pair, which is not text
            json.dumps(root, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        raise Refusal(400, "the body is not JSON") from None
    return root


def _no_constant(name: str) -> Any:
    raise ValueError(name)


def _envelope(body: bytes, name: str) -> Any:
    root = _json(body)
    if not isinstance(root, dict) or list(root) != [name]:
        raise Refusal(400, f"the body must have the one member {name!r}")
    return root[name]


def _refuse(problems: Any) -> None:
    found = [f"{field}: {why}" for field, why in problems]
    if found:
        raise Refusal(422, "; ".join(found))


def _dated(record: dict[str, Any]) -> dict[str, Any]:
    shown = {name: value for name, value in record.items() if name != "password"}
    return {**shown, "dateLastModified": "2026-01-01T00:00:00.000Z"}
