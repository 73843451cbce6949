"""Turn the answer to an operation into the record in it.

Each decoder is a function of the module: a result is pickled together with its own.
"""

from typing import Any

from ..errors import ProtocolError
from ..models import AgentRecord, StudentRecord, UserRecord
from .http import NOT_JSON, decoded_json

__all__ = [
    "decode_agent",
    "decode_agents",
    "decode_nothing",
    "decode_read_user",
    "decode_student",
    "decode_user",
    "decoded_object",
]


def decoded_object(body: bytes) -> dict[str, Any]:
    """Return the JSON object in a body, or {} when it contains another JSON value.

    Raises:
        ProtocolError: The body is not JSON.
    """
    try:
        decoded = decoded_json(body)
    except NOT_JSON:
        raise ProtocolError("the answer is not JSON") from None
    return decoded if isinstance(decoded, dict) else {}


def _echo(body: bytes) -> dict[str, Any]:
    """Return the answer to a write, or {} when it is not JSON: the record is saved anyway."""
    try:
        return decoded_object(body)
    except ProtocolError:
        return {}


def _person(answer: dict[str, Any], envelope: str) -> dict[str, Any] | None:
    """Return the person in an answer, with or without an envelope; None if there is none."""
    person = answer.get(envelope, answer if "sourcedId" in answer else None)
    return person if isinstance(person, dict) else None


def decode_student(body: bytes) -> StudentRecord | None:
    """Return the student in the answer to a write, or None if there is none."""
    student = _person(_echo(body), "student")
    return None if student is None else StudentRecord.from_wire(student)


def decode_user(body: bytes) -> UserRecord | None:
    """Return the user in the answer to a write, or None if there is none."""
    user = _person(_echo(body), "user")
    return None if user is None else UserRecord.from_wire(user)


def decode_read_user(body: bytes) -> UserRecord:
    """Return the user in the answer to a read."""
    answer = decoded_object(body)
    return UserRecord.from_wire(answer.get("user", answer))


def decode_agent(body: bytes) -> AgentRecord | None:
    """Return the link in the answer to a write, or None if there is none."""
    # The body is not documented: expect the link as it was sent, or in an envelope.
    answer = _echo(body)
    agent = answer.get("agent", answer)
    return AgentRecord.from_wire(agent) if isinstance(agent, dict) and "user" in agent else None


def decode_agents(body: bytes) -> list[AgentRecord]:
    """Return the links in the answer to a read."""
    return [AgentRecord.from_wire(agent) for agent in decoded_object(body)["agents"] or ()]


def decode_nothing(body: bytes) -> None:
    """Return None, whatever the answer to a deletion contains."""
    return
