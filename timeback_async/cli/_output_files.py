"""The files that a run writes: outcomes, the records that were not saved, the plan, the report."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from io import RawIOBase
from itertools import islice
from pathlib import Path
from typing import Any, ClassVar, Self

import msgspec
from msgspec.structs import replace

from .._outcomes import OutcomeWriter
from .._results import ItemResult, Outcome
from ..errors import ConfigError, RecordError, TimebackError
from ..models import AgentKey, AgentLink
from ..sync import PHASES, Change, LeftOut, Plan
from ..sync._reading.gaps import NONE
from ..sync._reading.json_lines import FAILURE, record_in, written
from ..sync._reading.roster import RECORDS
from ._private_file import PrivateFile

__all__ = ["Failures", "Outcomes", "PlanFile", "ReportFile"]

LINES_AT_ONCE = 500


class _OutputFile:
    """A file that a run writes."""

    LOSS: ClassVar[str] = ""  # what to add to the message where it is not whole
    SUFFIXES: ClassVar[tuple[str, ...]]  # another one promises another form

    def __init__(self, file: PrivateFile) -> None:
        self._file = file

    @classmethod
    @contextmanager
    def opened(cls, path: Path | None) -> Iterator[Self | None]:
        """Open the file before anything is read; without a path there is no file.

        Raises:
            ConfigError: The file cannot be written, or has the ending of another form.
        """
        if path is None:
            yield None
            return
        if path.suffix and path.suffix.lower() not in cls.SUFFIXES:
            raise ConfigError(f"{path}: must end in {' or '.join(cls.SUFFIXES)}")
        with PrivateFile.opened(path, cls.LOSS) as file:
            yield cls(file)

    @property
    def is_whole(self) -> bool:
        """Whether the file holds everything so far."""
        return not self._file.is_full


class Failures(_OutputFile):
    """A file of records in wire form, one per line, each with the reason why it was not saved.

    It holds whole records, so only its owner may read it. `upsert` and `sync` can send it again.
    """

    LOSS = "; the file does not hold every failure"
    SUFFIXES = (".jsonl", ".ndjson")

    def write_left_out(self, row: LeftOut) -> None:
        """Add a row of a roster that is left out, with the reason for that."""
        self.write(row, _invalid(row))

    def write(self, failed: Change | LeftOut, result: ItemResult) -> None:
        """Add a record as a line that can be read again."""
        content = _content(failed) if self.is_whole else None
        if content is None:
            return
        record, more = content
        error = result.error
        failure: dict[str, Any] = {
            "file": failed.file,
            "line": failed.line,
            "outcome": result.outcome,
            "field": error.field if isinstance(error, RecordError) else "",
            "reason": error.reason if isinstance(error, RecordError) else str(error),
            "status": result.status,
            "attempts": result.attempts,
            "request_id": result.request_id,
            **more,
        }
        self._file.write(msgspec.json.encode({**record, FAILURE: failure}) + b"\n")


def _invalid(row: LeftOut) -> ItemResult:
    """Return what became of a row of a roster that is left out."""
    error = RecordError(row.field, row.reason)
    return ItemResult(index=0, kind="", sourced_id="", outcome=Outcome.INVALID, error=error)


def _content(failed: Change | LeftOut) -> tuple[dict[str, Any], dict[str, Any]] | None:
    """Return a record as it is sent again, and what its failure needs for that.

    None for no line at all.
    """
    # What can be sent again:
    #   a line that was left out   -> the JSON object in it, or else its text
    #   a removal                  -> nothing: the next run plans it again
    #   a person with open gaps    -> the record and its gaps: alone, it may delete something
    #   a link with open gaps      -> the same: alone, it may lack the relation
    #   anything else              -> the record
    if isinstance(failed, LeftOut):
        record = record_in(failed.text)
        return record, {} if record else written(failed.text)
    content, gaps = failed.content, failed.gaps
    if content is None or failed.phase == "unlinks":
        return None
    if not isinstance(content, bytes):
        more = {} if gaps == NONE else {"gaps": gaps}
        return {failed.kind: msgspec.to_builtins(content)}, more
    is_open = gaps.from_failure or (gaps != NONE and failed.known.source != RECORDS)
    return {failed.kind: msgspec.Raw(content)}, {"gaps": gaps} if is_open else {}


class Outcomes(_OutputFile):
    """A Parquet file with a row for each record, whatever became of it: see `_outcomes`."""

    LOSS = "; the file of outcomes is not whole, and cannot be read"
    SUFFIXES = (".parquet",)

    def __init__(self, file: PrivateFile) -> None:
        super().__init__(file)
        self._rows = OutcomeWriter(_Sink(file), {"file": "string", "line": "int64"})
        self._taken: Counter[str] = Counter()
        self._removed: set[str] = set()

    @classmethod
    @contextmanager
    def opened(cls, path: Path | None) -> Iterator[Self | None]:
        """Open the file before anything is read, and finish it, however the run ends."""
        with super().opened(path) as file:
            try:
                yield file
            finally:
                if file is not None:
                    file.finish()

    def finish(self) -> None:
        """Write the end of the file; nothing can be added then."""
        self._rows.close()

    def write_left_out(self, row: LeftOut) -> None:
        """Add a row of a roster that is left out."""
        self.write(row, _invalid(row))

    def write(self, place: Change | LeftOut, result: ItemResult) -> None:
        """Add a record, or a row that was left out, with what became of it."""
        if isinstance(place, Change):
            self._taken[place.phase] += 1
            if place.phase == "deactivations":  # which come in another order than planned
                self._removed.add(place.known.id)
            if not result.sourced_id:
                result = replace(result, kind=place.kind, sourced_id=_id_of(place))
        self._rows.add(result, file=place.file or None, line=place.line or None)

    def write_not_reached(self, plan: Plan, why: str) -> None:
        """Add the changes of a plan that have no result."""
        error = TimebackError(why) if why else None
        result = ItemResult(index=0, kind="", sourced_id="", outcome=Outcome.NOT_SENT, error=error)
        with plan.roster.database.lock:
            for phase in PHASES:
                done = 0 if phase == "deactivations" else self._taken[phase]
                for change in islice(plan.changes(phase), done, None):
                    if change.known.id not in self._removed:
                        self.write(change, result)


class _Sink(RawIOBase):
    """A file that pyarrow writes to."""

    def __init__(self, file: PrivateFile) -> None:
        self._file = file

    def writable(self) -> bool:
        return True

    def write(self, block: Any) -> int:
        self._file.write(bytes(block))
        return len(block)


def _id_of(change: Change) -> str:
    """Return the id that a result of a change would have; "" where there is a hash of it alone."""
    if isinstance(change.content, AgentLink | AgentKey):
        return change.content.agent_id
    return change.sourced_id if change.content is not None else ""


class PlanFile(_OutputFile):
    """A file of all changes of a plan, one per line: ids and places, and no values."""

    LOSS = "; the file does not hold the whole plan"
    SUFFIXES = (".jsonl", ".ndjson")

    def write(self, plan: Plan) -> None:
        """Write all changes of a plan; it blocks."""
        with plan.roster.database.lock:
            changes = iter(plan)
            while self.is_whole and (some := list(islice(changes, LINES_AT_ONCE))):
                rows = (msgspec.json.encode(plan.described(change)) for change in some)
                self._file.write(b"\n".join(rows) + b"\n")


class ReportFile(_OutputFile):
    """The file that holds the page of a report."""

    SUFFIXES = (".html", ".htm")

    def write(self, page: str) -> None:
        """Write the page."""
        self._file.write(page.encode(errors="replace"))
