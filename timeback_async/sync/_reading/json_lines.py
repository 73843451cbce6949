"""Read JSON Lines: records in wire form, one to a line, and files of failures.

A file of failures has what became of a record beside it, under FAILURE: its file and line above
all. A record keeps these for as long as it fails, however often its failures are read and written.
"""

from base64 import b64decode, b64encode
from contextlib import nullcontext, suppress
from typing import Any, NamedTuple

import msgspec
from msgspec import UNSET
from msgspec.structs import replace

from ..._wire.http import NOT_JSON
from ..._wire.validate import checked
from ...errors import RecordError
from ...models import AgentLink, Student, User
from ...models.kinds import KINDS
from .codes import CODES
from .files import DataFile, go_on, reading, shown
from .gaps import NONE, Fragment, Gaps, OpenLink, Roleless
from .parquet import records_of
from .records import LeftOut
from .roster import RECORDS, Roster, Source

__all__ = ["FAILURE", "place_in", "read_json_lines", "record_in", "unwrapped", "written"]

FAILURE = "_failure"
LINES_AT_ONCE = 1000
# A file of failures may have been written by anybody.
MOST_LINES, MOST_OF_A_NAME, MOST_OF_A_REASON = 2**53, 255, 1000


def read_json_lines(roster: Roster, file: DataFile, mode: str) -> None:
    """Bring the records of a file into a roster; in Parquet, each line is a cell."""
    source = Source(RECORDS, mode, has_agents=True)
    roster.sources[file.name] = source
    is_table = file.suffix == ".parquet"
    with nullcontext(records_of(file)) if is_table else reading(file) as lines:
        for number, line in enumerate(lines, 1):
            if not number % LINES_AT_ONCE:
                go_on()
            if text := line.removeprefix(b"\xef\xbb\xbf").strip():
                source.rows += 1
                _Line(roster, source, file.name, number).read(text)


def record_in(text: bytes) -> dict[str, Any]:
    """Return the JSON object in a line that no record could be made of; {} for anything else."""
    value = _decoded(text)
    if not isinstance(value, dict):
        return {}
    value.pop(FAILURE, None)
    return value


def written(text: bytes) -> dict[str, str]:
    """Return the members of a failure that keep a broken line, byte for byte."""
    try:
        return {"text": text.decode()} if text else {}
    except UnicodeDecodeError:
        return {"base64": b64encode(text).decode()}


def _broken_line(failure: dict[str, Any]) -> bytes | None:
    """Return the line that `written` kept, or None where there is none."""
    match failure:
        case {"text": str(text)}:
            return text.encode(errors="replace")
        case {"base64": str(text)}:
            with suppress(ValueError):
                return b64decode(text, validate=True)
    return None


class Unwrapped(NamedTuple):
    """A line without the failures that earlier runs have written with it.

    Attributes:
        text: The line.
        value: What is in it; None where that is not JSON.
        failures: They are in their order, the latest first.
        beside: The one beside the record; {} if there is none.
        alone: The one that has nothing with it; {} if there is none.
    """

    text: bytes
    value: Any
    failures: list[dict[str, Any]]
    beside: dict[str, Any]
    alone: dict[str, Any]


def unwrapped(text: bytes) -> Unwrapped:
    """Return the line that failed first, of a line in a file of failures; any other as it is."""
    # What a line may be:
    #   a record                        -> that record
    #   a record with its failure       -> the same, at its first place
    #   a failure with a broken line    -> that line, at its first place
    #   a failure alone                 -> no record could be made then, nor can it now
    #   anything else                   -> a broken line
    value, failures = _decoded(text), list[dict[str, Any]]()
    beside, alone = dict[str, Any](), dict[str, Any]()
    while isinstance(value, dict) and isinstance(failure := value.pop(FAILURE, None), dict):
        failures.append(failure)
        if value:
            text, beside = msgspec.json.encode(value), failure
        elif (broken := _broken_line(failure)) is not None:
            text, value = broken, _decoded(broken)
        else:
            alone = failure
    return Unwrapped(text, value, failures, beside, alone)


def place_in(failure: dict[str, Any]) -> tuple[str, int] | None:
    """Return file and line where what failed stood first; None if it does not say so."""
    match failure:
        case {"file": str(file), "line": int(line)} if file and 0 < line < MOST_LINES:
            if line is not True:
                return shown(file)[:MOST_OF_A_NAME], line
    return None


class _Line:
    """One line of a file: its own place, or the first one of a record that failed before."""

    def __init__(self, roster: Roster, source: Source, file: str, line: int) -> None:
        self._roster, self._source = roster, source
        self._file, self._line = file, line

    def read(self, text: bytes) -> None:
        """Take the record in, or report why there is none."""
        text, value, failures, beside, alone = unwrapped(text)
        for failure in failures:
            self._go_to(failure)
        if alone:
            self._report_again(alone)
            return
        kind, inner, gaps = "", None, _gaps_in(beside)
        if isinstance(value, dict) and len(value) == 1:
            ((kind, inner),) = value.items()
        is_known = kind in KINDS or (kind == "person" and gaps.roles)
        if is_known and isinstance(inner, dict):
            self._read_record(kind, inner, text, gaps)
        else:
            self._leave_out("", CODES["json-broken"].says, text)
            self._report("json-broken")
            self._source.unreadable += 1

    def _go_to(self, failure: dict[str, Any]) -> None:
        """Stand where a record stood first. Its source is this file all the same."""
        if place := place_in(failure):
            self._file, self._line = place
            self._roster.sources.setdefault(self._file, self._source)

    def _read_record(self, kind: str, inner: dict[str, Any], text: bytes, gaps: Gaps) -> None:
        file, line, database = self._file, self._line, self._roster.database
        try:
            value, body = checked(inner, _struct(kind, gaps))
        except RecordError as error:
            self._leave_out(error.field, error.reason, text)
            self._report("value-invalid", error.field, error.reason)
            sourced_id = inner.get("sourcedId")
            if kind == "agent" or not isinstance(sourced_id, str):
                self._source.unreadable += 1
            else:
                is_student = kind == "student"
                unread = (sourced_id, "", is_student, "", "", file, line, None, "", b"")
                database.add_people([unread])
            return
        if isinstance(value, AgentLink):
            self._add_link(value, gaps)
            return
        assert isinstance(value, Student | User | Roleless | Fragment)
        if gaps == NONE:
            gaps = Gaps(birth=value.demographics is UNSET)
        self._roster.has_births |= value.demographics is not UNSET
        is_a_student = None if kind == "person" else kind == "student"
        username = "" if isinstance(value, Fragment) else value.username or ""
        person = (
            value.sourced_id, kind, is_a_student, "", value.status or "active", file, line, body,
            username, gaps.as_json(),
        )  # fmt: skip
        database.add_people([person])

    def _add_link(self, link: AgentLink, gaps: Gaps) -> None:
        ids = link.student_id, link.user_id, link.agent_id
        before = self._roster.database.relation_of(*ids)
        if before is not None:
            self._source.repeated += 1
            is_same = before == link.relationship_type
            self._report("duplicate-same" if is_same else "link-repeated", "agentId", ids[2])
        row = (*ids, link.relationship_type, self._file, self._line, gaps.as_json())
        self._roster.database.add_link(row)

    def _report_again(self, failure: dict[str, Any]) -> None:
        """Report a row that no record could be made of, in the words of the first time."""
        field = shown(str(failure.get("field", "")))[:MOST_OF_A_NAME]
        reason = shown(str(failure.get("reason", "")))[:MOST_OF_A_REASON]
        self._leave_out(field, reason, b"")
        self._report("left-out-before", field, reason)
        self._source.unreadable += 1

    def _leave_out(self, field: str, reason: str, text: bytes) -> None:
        row = LeftOut(self._file, self._line, field, reason, text)
        self._roster.database.add_left_out(row)

    def _report(self, code: str, field: str = "", detail: str = "") -> None:
        self._roster.findings.add(code, self._file, self._line, field, detail)


def _decoded(text: bytes) -> Any:
    """Return a line decoded, or None where it is not JSON."""
    try:
        return msgspec.json.decode(text)
    except NOT_JSON:
        return None


def _struct(kind: str, gaps: Gaps) -> Any:
    """Return the struct of a record, which may be one that TimeBack completes."""
    if kind == "agent" and gaps.people:
        return OpenLink
    return KINDS[kind].sent if kind in KINDS else Fragment if gaps.rest else Roleless


def _gaps_in(failure: dict[str, Any]) -> Gaps:
    """Return what TimeBack may fill of a person, as an earlier run has found."""
    try:
        gaps = msgspec.convert(failure.get("gaps", {}), Gaps)
    except msgspec.ValidationError:
        return NONE
    return gaps if gaps == NONE else replace(gaps, from_failure=True)
