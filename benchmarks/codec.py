"""Measure encoding, checking and decoding of one record, against json and pydantic."""

import json
from collections.abc import Callable
from statistics import median
from timeit import timeit
from typing import Annotated, Literal

import msgspec
from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from timeback_async._wire import codec

from .contenders import as_structs
from .measure import Result, interval, markdown, ratio

REPEATS = 2000
COMPARED = (
    ("timeback_async: check and encode", "json: encode a dict, unchecked"),
    ("timeback_async: check and encode", "pydantic: check and encode"),
    ("timeback_async: decode and check", "json: decode to a dict, unchecked"),
    ("timeback_async: decode and check", "pydantic: decode and check"),
)
SourcedId = Annotated[str, Field(min_length=1, max_length=255, pattern=r"^[0-9A-Za-z._/@-]+$")]


class Model(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="forbid")


class Org(Model):
    sourced_id: SourcedId
    type: Literal["org"] = "org"


class Student(Model):
    sourced_id: SourcedId
    username: str | None
    given_name: str
    family_name: str
    grades: list[str]
    primary_org: Org
    status: Literal["active", "inactive", "tobedeleted"] = "active"
    enabled_user: Literal["true", "false"] = "true"
    email: str | None = None


class Envelope(Model):
    student: Student


def run(rounds: int = 10, records: int | None = None) -> Result:
    student = next(as_structs(1))
    operation = codec.upsert(student)
    body = operation.request.body
    assert body is not None
    wire = json.loads(body)
    # Built without a check, like a struct of ours, so that each is checked once.
    model = Envelope.model_construct(student=Student.model_construct(**{
        name: getattr(student, name) for name in Student.model_fields if name != "primary_org"
    }, primary_org=Org.model_construct(sourced_id="org-1", type="org")))  # fmt: skip
    writes: dict[str, Callable[[], object]] = {
        "timeback_async: check and encode": lambda: codec.upsert(student),
        "msgspec: encode, unchecked": lambda: msgspec.json.encode(student),
        "json: encode a dict, unchecked": lambda: json.dumps(wire).encode(),
        "pydantic: check and encode": lambda: Envelope.model_validate_json(
            model.model_dump_json(by_alias=True)
        ),
        "timeback_async: decode and check": lambda: operation.decode(body),
        "json: decode to a dict, unchecked": lambda: json.loads(body),
        "pydantic: decode and check": lambda: Envelope.model_validate_json(body),
    }
    runs: dict[str, list[float]] = {name: [] for name in writes}
    for _ in range(rounds):
        for name in (*writes, *reversed(writes)):
            runs[name].append(timeit(writes[name], number=REPEATS) / REPEATS * 1e6)
    rows, pairs = [], {}
    for name, taken in runs.items():
        found = interval(taken)
        rows.append([name, f"{median(taken):.2f}", f"{found.low:.2f} to {found.high:.2f}"])
        pairs[name] = list(zip(taken[::2], taken[1::2], strict=True))
    ratios = [ratio(pairs[one], pairs[other], one, other) for one, other in COMPARED]
    return Result(markdown(["", "µs per record", "95 % interval"], rows), runs, ratios)
