"""Read JSON Lines: records in wire form, one to a line, and files of failures.

A file of failures has what became of a record beside it, under FAILURE: its file and line above
all. A record keeps these for as long as it fails, however often its failures are read and written.
"""

from typing import Any

import msgspec
from msgspec import UNSET

from ..._wire.http import NOT_JSON
from ..._wire.validate import checked
from ...errors import RecordError
from ...models import AgentLink
from ...models.kinds import KINDS
from .codes import CODES
from .files import DataFile, reading, shown
from .gaps import Gaps
from .records import LeftOut
from .roster import RECORDS, Roster, Source

__all__ = ["FAILURE", "read_json_lines", "record_in"]

FAILURE = "_failure"


def read_json_lines(roster: Roster, file: DataFile, mode: str) -> None:
    """Bring the records of a file into a roster."""
    source = Source(RECORDS, mode, has_agents=True)
    roster.sources[file.name] = source
    with reading(file) as lines:
        for number, line in enumerate(lines, 1):
            if text := line.removeprefix(b"\xef\xbb\xbf").strip():
                _Line(roster, source, file.name, number).read(text)


def record_in(text: str) -> dict[str, Any]:
    """Return the JSON object in a line that no record could be made of; {} for anything else."""
    value = _decoded(text.encode())
    return value if isinstance(value, dict) else {}


class _Line:
    """One line of a file: its own place, or the first one of a record that failed before."""

    def __init__(self, roster: Roster, source: Source, file: str, line: int) -> None:
        self._roster, self._source = roster, source
        self._file, self._line = file, line

    def read(self, text: bytes) -> None:
        """Take the record in, or report why there is none."""
        # What a line may be:
        #   a record                        -> that record
        #   a record with its failure       -> the same, at its first place
        #   a failure with a broken line    -> that line, at its first place
        #   a failure alone                 -> no record could be made then, nor can it now
        #   anything else                   -> a broken line
        value = _decoded(text)
        while isinstance(value, dict) and isinstance(failure := value.pop(FAILURE, None), dict):
            self._go_to(failure)
            if value:
                text = msgspec.json.encode(value)
            elif isinstance(broken := failure.get("text"), str):
                text = broken.encode(errors="replace")
                value = _decoded(text)
            else:
                self._report_again(str(failure.get("field", "")), str(failure.get("reason", "")))
                return
        kind, inner = "", None
        if isinstance(value, dict) and len(value) == 1:
            ((kind, inner),) = value.items()
        if kind in KINDS and isinstance(inner, dict):
            self._read_record(kind, inner, text)
        else:
            self._leave_out(LeftOut(self._file, self._line, "", CODES["json-broken"].says), text)
            self._report("json-broken")
            self._source.unreadable += 1

    def _go_to(self, failure: dict[str, Any]) -> None:
        """Stand where a record stood first. Its source is this file all the same."""
        match failure:
            case {"file": str(file), "line": int(line)} if file and line > 0 and line is not True:
                self._file, self._line = shown(file), line
                self._roster.sources.setdefault(self._file, self._source)

    def _read_record(self, kind: str, inner: dict[str, Any], text: bytes) -> None:
        file, line, database = self._file, self._line, self._roster.database
        try:
            value, body = checked(inner, KINDS[kind].sent)
        except RecordError as error:
            self._leave_out(LeftOut(file, line, error.field, error.reason), text)
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
            ids = value.student_id, value.user_id, value.agent_id
            database.add_link((*ids, value.relationship_type, file, line))
            return
        gaps = Gaps(birth=value.demographics is UNSET)
        self._roster.has_births |= not gaps.birth
        person = (
            value.sourced_id, kind, kind == "student", "", value.status, file, line, body,
            value.username or "", gaps.as_json(),
        )  # fmt: skip
        database.add_people([person])

    def _report_again(self, field: str, reason: str) -> None:
        self._leave_out(LeftOut(self._file, self._line, field, reason), b"")
        self._report("left-out-before", field, reason)
        self._source.unreadable += 1

    def _leave_out(self, row: LeftOut, text: bytes) -> None:
        row = row._replace(text=text.decode(errors="replace"))
        self._roster.database.add_left_out(row)

    def _report(self, code: str, field: str = "", detail: str = "") -> None:
        self._roster.findings.add(code, self._file, self._line, field, detail)


def _decoded(text: bytes) -> Any:
    """Return a line decoded, or None where it is not JSON."""
    try:
        return msgspec.json.decode(text)
    except NOT_JSON:
        return None
