"""Turn the rows of a file into fields: mended, translated and completed as its layout says."""

import re
from collections.abc import Iterator, Sequence

from .alignment import is_aligned
from .cells import LIKELY, LOST_VALUE, NAMES, NO_VALUE, is_no_record, is_no_value, mended
from .columns import IN_PLACE_OF, NEEDED, UNREAD, Columns
from .findings import Findings
from .ids import is_usual, read_id
from .layout import FileLayout
from .tables import NO_RECORD, Broken, Table
from .values import UNREADABLE

__all__ = ["Rows"]

# The ids without which a row says nothing.
IDS = {
    "users": ("sourcedId",),
    "orgs": ("sourcedId",),
    "roles": ("userSourcedId", "orgSourcedId"),
    "userprofiles": ("userSourcedId",),
    "demographics": ("sourcedId",),
    "relationships": ("userSourcedId", "relationshipUserSourcedId"),
}
_is_phone_mail = re.compile(r"[-+()\d. ]+@.*").fullmatch
PHONES = ("sms", "phone")
WIDTH = "row-width"
# Fields of which a blank cell says something, so that a lost value must not become one.
DECISIVE = {"status", "enabledUser", "role", "roleType", "username"}


class Rows:
    """Yields each readable row of a file: its line, and its cells by field, without blank ones.

    Attributes:
        file: The file's name, safe to print.
        name: The name from run to run; see `Source`.
        columns: Where the fields are.
        layout: What the file holds.
        read: Rows so far, those that are not readable too.
        broken: Unreadable rows so far; each has a finding.
        table: Where the rows are.
    """

    def __init__(
        self,
        file: str,
        name: str,
        table: Table,
        columns: Columns,
        layout: FileLayout,
        findings: Findings,
    ) -> None:
        self.file, self.name, self.columns, self.layout = file, name, columns, layout
        self.read = self.broken = 0
        self.table, self._findings = table, findings
        self._places = [pair for pair in columns.places.items() if pair[0] not in UNREAD]
        others = {IN_PLACE_OF[field]: field for field in columns.places if field in IN_PLACE_OF}
        self._nameless = [place for place, name in enumerate(table.header) if not name]
        self._ids = IDS[layout.target]
        self._needed = [others.get(field, field) for field in NEEDED[layout.target]]
        self._values = {
            field: {text.lower(): meaning for text, meaning in values.items()}
            for field, values in layout.values.items()
        }

    def again(self) -> "Rows":
        """Return the same rows, to be read once more without findings."""
        return Rows(self.file, self.name, self.table, self.columns, self.layout, Findings())

    def __iter__(self) -> Iterator[tuple[int, dict[str, str]]]:
        # A line break within a cell makes two rows of one. The first half may look like a row that
        # ends early; but then the second cannot be read, and both fit into one row.
        width = len(self.table.header)
        short: tuple[int, dict[str, str], int] | None = None
        self.read += self.table.skipped
        for line, cells, oddities in self.table.rows([place for _, place in self._places]):
            self.read += 1
            row, number = None, width
            if isinstance(cells, Broken):
                self._leave_out(cells.code, line, cells.field, cells.detail)
            else:
                number = len(cells)
                row = self._row(line, cells, oddities)
            if short is not None:
                if row is None and short[2] + number <= width + 1:
                    self._leave_out(WIDTH, short[0])
                else:
                    yield short[0], short[1]
                short = None
            if row is not None and number < width:
                short = line, row, number
            elif row is not None:
                yield line, row
        if short is not None:
            yield short[0], short[1]

    def _row(
        self, line: int, cells: list[str], oddities: Sequence[str] | None
    ) -> dict[str, str] | None:
        """Return the fields of a row, without blank ones; None, with a finding, if it is left out.

        Args:
            line: Where it is.
            cells: Not more than the header has. They are filled up.
            oddities: See `Row`.
        """
        if oddities:
            cells += [""] * (len(self.table.header) - len(cells))
        if self._nameless and any(cells[place].strip() for place in self._nameless):
            self._findings.add("column-nameless", self.file)
            self._nameless = []
        row = {
            field: text
            for field, place in self._places
            if (cell := cells[place]) and (text := cell.strip())
        }
        if oddities is not None:
            self._mend(line, row)
        if self._values:
            self._translate(row)
        if not NO_VALUE.isdisjoint(row.values()):
            self._drop_no_values(line, row)
        if len(row) < 3 and is_no_record(row.values()):
            self._leave_out(NO_RECORD, line)
            return None
        if oddities and not self._is_in_place(line, cells, row, oddities):
            return None
        if not self._is_whole(line, row):
            return None
        if constants := self.layout.constants:
            row |= constants
        return row

    def _translate(self, row: dict[str, str]) -> None:
        for field, meanings in self._values.items():
            text = row.pop(field, "")
            if meaning := meanings.get(text.lower(), text):
                row[field] = meaning

    def _leave_out(self, code: str, line: int, field: str = "", detail: str = "") -> None:
        if code == NO_RECORD:
            self.read -= 1
        else:
            self.broken += 1
        self._findings.add(code, self.file, line, field, detail)

    def _mend(self, line: int, row: dict[str, str]) -> None:
        """Mend the cells of a row."""
        for field, text in [*row.items()]:
            if field.lower().endswith(("sourcedid", "sourcedids")):
                continue  # ids have rules of their own
            row[field], code = mended(text)
            if code == LOST_VALUE and field in DECISIVE:
                row[field] = UNREADABLE
                continue
            if code:
                self._findings.add(code, self.file, line, field)
            if not row[field]:
                del row[field]

    def _drop_no_values(self, line: int, row: dict[str, str]) -> None:
        for field, text in [*row.items()]:
            if text in NO_VALUE and is_no_value(field, text):
                del row[field]
                self._findings.add("value-none", self.file, line, field)
            elif text in LIKELY and field in NAMES:
                self._findings.add("name-doubtful", self.file, line, field)

    def _is_whole(self, line: int, row: dict[str, str]) -> bool:
        """Read the ids of a row; return False if it is left out."""
        for field in PHONES:
            # An e-mail there shows that the cells are in wrong columns. But to some telephones,
            # messages are sent by e-mail: their number is its name.
            if field in row and "@" in row[field] and not _is_phone_mail(row[field]):
                self._leave_out("row-shifted", line)
                return False
        for field in self._ids:
            if field in row and not is_usual(row[field]) and not self._read_id(line, row, field):
                return False
        return True

    def _is_in_place(
        self, line: int, cells: Sequence[str], row: dict[str, str], oddities: Sequence[str]
    ) -> bool:
        """Report what is odd about a row; return False if its cells may be in other columns."""
        if WIDTH in oddities:
            self._leave_out(WIDTH, line)
            return False
        if "row-wider" in oddities or "row-shorter" in oddities:
            behind_grade = cells[self.columns.places.get("grades", len(cells)) :]
            if not (self._is_covered(row) and is_aligned(row, behind_grade)):
                self._leave_out(WIDTH, line)
                return False
        for code in oddities:
            self._findings.add(code, self.file, line)
        return True

    def _is_covered(self, row: dict[str, str]) -> bool:
        """Whether a row has all that every record needs; a deleted one needs its id alone."""
        is_deleted = row.get("status", "").lower() == "tobedeleted"
        return is_deleted or all(field in row for field in self._needed)

    def _read_id(self, line: int, row: dict[str, str], field: str) -> bool:
        """Read an id that has unusual characters; return False if the row is left out."""
        row[field], code = read_id(row[field])
        if not row[field]:
            self._leave_out(code, line, field)
            return False
        self._findings.add(code, self.file, line, field)
        return True
