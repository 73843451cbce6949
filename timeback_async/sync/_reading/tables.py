"""Read a data file as rows of cells, each with its line; mark rows that cannot be read.

Source: OneRoster 1.2 CSV binding (RFC 4180, UTF-8; a BOM is to be tolerated).
"""

import codecs
import csv
import datetime
import io
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from math import isnan
from typing import Any, NamedTuple, cast

from ...errors import ConfigError
from .files import DataFile, reading

__all__ = ["Broken", "Row", "Table"]

PARQUET_BATCH = 4096
EXACT = 2**53  # a larger float may have lost digits of a whole number


class Broken(NamedTuple):
    """A row that cannot be read; `code` is that of its finding."""

    code: str


class Row(NamedTuple):
    """A row; `line` is where it begins, from 1."""

    line: int
    cells: list[str] | Broken


class Table:
    """A file of rows under one header.

    Attributes:
        header: The names of the columns as they are, without unnamed ones at the end.
        notes: Findings about the file as a whole: code and detail.
    """

    def __init__(self, file: DataFile, encoding: str | None) -> None:
        self._file = file
        self.notes: list[tuple[str, str]] = []
        if file.suffix == ".parquet":
            self.header = _parquet_header(file)
            return
        self._encoding = self._decided(encoding)
        with self._text() as text:
            first = text.readline()
        self._delimiter = max(",;\t", key=first.count)
        if self._delimiter != ",":
            self.notes.append(("delimiter", repr(self._delimiter)))
        try:
            names = next(csv.reader([first], delimiter=self._delimiter, strict=True), [])
        except csv.Error:
            raise ConfigError(f"{file.name}: its first line is not CSV; export it again") from None
        self.header = [name.strip() for name in names]
        self._widths = {len(names)}
        while self.header and not self.header[-1]:
            self.header.pop()
        habit = self._habit()
        self._widths |= {len(self.header), habit}
        if habit > len(names):
            self.notes.append(("rows-wider", ""))

    def rows(self) -> Iterator[Row]:
        """Yield every row that is not empty, with as many cells as the header, or `Broken`."""
        if self._file.suffix == ".parquet":
            yield from _parquet_rows(self._file)
            return
        width, widths = len(self.header), self._widths
        for row in self.lines():
            cells = row.cells
            if isinstance(cells, Broken):
                yield row
            elif any(cells):
                is_whole = len(cells) == width or (len(cells) in widths and not any(cells[width:]))
                yield row if is_whole else Row(row.line, Broken("row-width"))

    def lines(self) -> Iterator[Row]:
        """Yield every row below the header, empty or not, with as many cells as it has."""
        # A row is Broken if it is not CSV, or if a cell contains a line break: the standard
        # forbids those, and one may hide that two rows stick together.
        with self._text() as text:
            text.readline()
            # Strict: otherwise a quote that is not closed swallows the rows that follow.
            reader = csv.reader(text, delimiter=self._delimiter, strict=True)
            read = 0
            while True:
                line = read + 2
                try:
                    cells: list[str] | Broken = next(reader)
                except StopIteration:
                    return
                except csv.Error:
                    cells = Broken("row-broken")
                if reader.line_num - read > 1 and not isinstance(cells, Broken):
                    cells = Broken("line-break")
                read = reader.line_num
                yield Row(line, cells)

    def _habit(self) -> int:
        """Return the width of the first two rows if both end in equally many blank cells.

        A single row that is too wide has a stray comma: its cells are in the wrong columns.
        """
        width = len(self.header)
        rows = [row.cells for row in islice(self.lines(), 2)]
        if len(rows) < 2 or any(isinstance(row, Broken) or any(row[width:]) for row in rows):
            return width
        one, two = map(len, rows)
        return max(one, width) if one == two else width

    @contextmanager
    def _text(self) -> Iterator[io.TextIOWrapper]:
        with (
            reading(self._file) as stream,
            io.TextIOWrapper(stream, encoding=self._encoding, newline="") as text,
        ):
            yield text

    def _decided(self, fallback: str | None) -> str:
        """Return the encoding: UTF-8, or the fallback if the bytes are not UTF-8."""
        for encoding in filter(None, ("utf-8-sig", fallback)):
            if self._is_in(encoding):
                if encoding == fallback:
                    self.notes.append(("encoding", encoding))
                return encoding
        if fallback:
            raise ConfigError(
                f"{self._file.name}: is neither UTF-8 nor {fallback}; export it again"
            )
        raise ConfigError(
            f'{self._file.name}: is not UTF-8; pass its encoding, for example encoding="cp1252"'
        )

    def _is_in(self, encoding: str) -> bool:
        decoder = codecs.getincrementaldecoder(encoding)()
        with reading(self._file) as stream:
            try:
                while block := stream.read(1 << 20):
                    decoder.decode(block)
                decoder.decode(b"", final=True)
            except UnicodeError:
                return False
        return True


def _parquet_header(file: DataFile) -> list[str]:
    with _parquet(file) as table:
        return list(table.schema_arrow.names)


def _parquet_rows(file: DataFile) -> Iterator[Row]:
    number = 0
    with _parquet(file) as table:
        for batch in table.iter_batches(PARQUET_BATCH):
            for cells in zip(*(column.to_pylist() for column in batch.columns), strict=True):
                number += 1
                texts = [_as_text(cell) for cell in cells]
                is_text = all(text is not None for text in texts)
                yield Row(number, cast(list[str], texts) if is_text else Broken("cell-type"))


@contextmanager
def _parquet(file: DataFile) -> Iterator[Any]:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise ConfigError(
            f"{file.name}: Parquet needs pyarrow: pip install 'timeback-async[parquet]'"
        ) from None
    with reading(file) as stream:
        try:
            yield parquet.ParquetFile(stream)
        except (pyarrow.ArrowException, OSError) as error:
            raise ConfigError(
                f"{file.name}: is not Parquet ({type(error).__name__}); export it again"
            ) from None


def _as_text(value: Any) -> str | None:
    """Return a cell as the text of a CSV, or None if its type has no such text."""
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case str() | int():
            return str(value)
        case float() if isnan(value):  # a missing number
            return ""
        case float() if value.is_integer() and abs(value) < EXACT:
            return str(int(value))
        case datetime.date():
            return value.isoformat()
        case list():
            texts = [_as_text(each) for each in value]
            return None if None in texts else ",".join(cast(list[str], texts))
    return None
