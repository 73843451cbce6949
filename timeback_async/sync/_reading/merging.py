"""Make one person of several rows that differ only in schools, agents or grades.

Some exports write a row for each school of a student, or for each agent. The rows of repeated ids
are read a second time, because what they were mapped to no longer holds what they said.
"""

from collections.abc import Iterator, Sequence
from itertools import groupby
from operator import attrgetter
from typing import Any, NamedTuple

import msgspec

from .lists import listed
from .people import PeopleMapper
from .records import RepeatedRow, chunks
from .roster import Roster
from .rows import Rows
from .said import OtherFiles, mapped

__all__ = ["PeopleFile", "RowMerger"]

MERGED = ("orgSourcedIds", "agentSourcedIds", "grades")
FOLLOWING = ("primaryOrg", "roles", "grades")  # what follows from those in the record
MOST_ROWS = 100  # of one person; it bounds memory where an export repeats one id in every row
ROWS_AT_ONCE = 500
PEOPLE_AT_ONCE = 50

_encode = msgspec.json.Encoder().encode
_cells = msgspec.json.Decoder(dict[str, str]).decode


class PeopleFile(NamedTuple):
    """A file of people that has been read, and how its rows become records."""

    rows: Rows
    mapper: PeopleMapper


class RowMerger:
    """Merges rows.

    Args:
        roster: Holds the people, as their rows were mapped.
        others: What the other files say.
    """

    def __init__(self, roster: Roster, others: OtherFiles) -> None:
        self._database, self._report, self._others = roster.database, roster.findings.add, others
        self._sources = roster.sources

    def merge(self, files: Sequence[PeopleFile]) -> None:
        """Merge the rows of each person who has several that can be read."""
        if not self._database.find_repeated(MOST_ROWS):
            return
        by_name = {file.rows.file: file for file in files}
        for file in files:
            self._keep_rows(file.rows.again())
        last = ""
        while ids := self._database.repeated_after(last, PEOPLE_AT_ONCE):
            rows = self._database.repeated_rows(_encode(ids).decode())
            for _, of_one in groupby(rows, key=attrgetter("id")):
                first, *others = of_one
                self._merge(first, others, by_name[first.file])
            last = ids[-1]

    def _keep_rows(self, rows: Rows) -> None:
        """Keep the cells of rows whose id is repeated."""
        for chunk in chunks(rows, ROWS_AT_ONCE):
            ids = _encode([row.get("sourcedId") for _, row in chunk]).decode()
            wanted = self._database.repeated_among(ids)
            self._database.add_repeated_rows(
                (row["sourcedId"], rows.file, line, _encode(row))
                for line, row in chunk
                if row.get("sourcedId") in wanted
            )

    def _merge(self, first: RepeatedRow, others: Sequence[RepeatedRow], file: PeopleFile) -> None:
        # Of rows that can all be read:
        #   all say the same                        -> left to where duplicates are counted
        #   they differ in what may be merged alone -> one person, with all of it
        #   they differ in anything else            -> left to where duplicates are left out
        cells = [_cells(row.cells) for row in (first, *others)]
        is_news = [
            row.body != first.body or _agents(more) != _agents(cells[0])
            for row, more in zip(others, cells[1:], strict=True)
        ]
        if not any(is_news) or len(set(map(_unmerged, (first, *others), cells))) > 1:
            return
        whole = cells[0] | {field: ",".join(all_) for field, all_ in _united(cells) if all_}
        said = self._others.about([first.id])
        person = mapped(
            file.mapper, whole, file.rows.layout.dates.get("birthDate"), said, lambda *_: "note"
        )
        self._database.replace_person(first.rowid, person)
        for row, is_new in zip(others, is_news, strict=True):
            code = "rows-merged" if is_new else "duplicate-same"
            self._report(code, row.file, row.line, "sourcedId", row.id)
            self._sources[row.file].repeated += 1
        self._database.drop(others)


def _united(rows: Sequence[dict[str, str]]) -> Iterator[tuple[str, list[str]]]:
    """Yield each field that is merged, with the elements of all rows in their order."""
    for field in MERGED:
        yield (
            field,
            list(dict.fromkeys(each for row in rows for each in listed(row.get(field, ""))[0])),
        )


def _agents(cells: dict[str, str]) -> set[str]:
    return set(listed(cells.get("agentSourcedIds", ""))[0])


def _unmerged(row: RepeatedRow, cells: dict[str, str]) -> Any:
    """Return what has to be the same in all rows of a person, in a form that can be compared."""
    record = msgspec.json.decode(row.body)
    rest = {field: value for field, value in record.items() if field not in FOLLOWING}
    role, org = cells.get("role", "").lower(), cells.get("primaryOrgSourcedId")
    return row.kind, role, org, msgspec.json.encode(rest, order="sorted")
