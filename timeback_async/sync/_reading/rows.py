"""The rows of a file as fields, with what its layout adds and translates."""

from collections.abc import Iterator

from .findings import Findings
from .layout import Columns, FileLayout
from .tables import Broken, Table

__all__ = ["Rows"]

# Cells that are never read further.
UNREAD = {"password", "resourceSourcedIds"}


class Rows:
    """The rows of a file as fields that are not blank, with what its layout adds and translates."""

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
