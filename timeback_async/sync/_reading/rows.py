"""Turn the rows of a file into fields, with the constants and translations of its layout."""

from collections.abc import Iterator

from .findings import Findings
from .layout import Columns, FileLayout
from .tables import Broken, Table

__all__ = ["Rows"]

# Fields that are never read.
UNREAD = {"password", "resourceSourcedIds"}


class Rows:
    """Yields each readable row of a file: its line, and its cells by field, without blank ones.

    Attributes:
        file: The file's name, safe to print.
        name: The name from run to run; see `Source`.
        columns: Where the fields are.
        layout: What the file holds.
        broken: Unreadable rows so far; each has a finding.
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
        self.broken = 0
        self._table, self._findings = table, findings
        self._places = [pair for pair in columns.places.items() if pair[0] not in UNREAD]
        self._values = {
            field: {text.lower(): meaning for text, meaning in values.items()}
            for field, values in layout.values.items()
        }

    def again(self) -> "Rows":
        """Return the same rows, to be read once more without findings."""
        return Rows(self.file, self.name, self._table, self.columns, self.layout, Findings())

    def __iter__(self) -> Iterator[tuple[int, dict[str, str]]]:
        places, constants, values = self._places, self.layout.constants, self._values
        for line, cells in self._table.rows():
            if isinstance(cells, Broken):
                self.broken += 1
                self._findings.add(cells.code, self.file, line)
                continue
            row = {field: text for field, place in places if (text := cells[place].strip())}
            if constants:
                row |= constants
            for field, meanings in values.items():
                text = row.pop(field, "")
                if meaning := meanings.get(text.lower(), text):
                    row[field] = meaning
            yield line, row
