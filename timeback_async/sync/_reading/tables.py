"""Read a data file as rows of cells, each with its line; mark rows that cannot be read.

OneRoster allows no line break within a cell, so every line is a row of its own: whatever is wrong
with one line, the next one is read as if nothing had happened.

Source: OneRoster 1.2 CSV binding (RFC 4180).
"""

import csv
import re
from collections.abc import Callable, Collection, Iterator, Sequence
from itertools import chain, compress, islice
from typing import NamedTuple

from ...errors import ConfigError
from .cells import is_no_record, is_plain, mended
from .files import COLUMNAR, DataFile
from .parquet import Odd, header_of, rows_of
from .text import Text

__all__ = ["NO_RECORD", "Broken", "Row", "Table", "Watch"]

LINES_BEFORE_HEADER = 20
DELIMITERS = ",;\t|"
ENDS = ("\n", "\r")
NO_RECORD = "row-no-record"
_named_delimiter = re.compile(r'"?sep=(.)"?\s*', re.IGNORECASE).fullmatch
_blank_after_quote = re.compile(r'"[ \t]+(?=[,;\t|\r\n]|\Z)').sub


class Broken(NamedTuple):
    """A row that cannot be read: the code of its finding, and its field and detail if known."""

    code: str
    field: str = ""
    detail: str = ""


# A row: the line it begins on, from 1; its cells, not more than the header has; and the codes of
# what was odd about it. None instead of codes says more: nothing in its cells needs a closer look.
Row = tuple[int, list[str] | Broken, Sequence[str] | None]
# Takes some lines, their numbers first.
Watch = Callable[[Sequence[int], Sequence[str]], None]


class Table:
    """A file of rows under one header.

    Attributes:
        header: The names of the columns as they are, without unnamed ones at the end.
        notes: Findings about the file as a whole: code and detail.
        first: The number of the first line below the header; lines are counted from 1.
        wanted: For each line, from number 0 on, whether it has to be read; None for all of them.
        skipped: How many rows are on the others.
        watch: Called with the lines that are read, a batch at a time; not of Parquet and tables.
    """

    def __init__(self, file: DataFile, encoding: str | None) -> None:
        self.file = file
        self.notes: list[tuple[str, str]] = []
        self.wanted: bytearray | None = None
        self.skipped = 0
        self.watch: Watch | None = None
        if file.suffix in COLUMNAR:
            self.header = header_of(file)
            return
        self._text = Text(file, encoding)
        self.notes += self._text.notes
        self._delimiter, before, first = self._found_header()
        self.first = before + 2
        if self._delimiter != ",":
            self.notes.append(("delimiter", repr(self._delimiter)))
        names = self._one(first, 0, {})
        if isinstance(names, Broken):
            raise ConfigError(f"{file.name}: its first line is not CSV; export it again")
        self.header = [mended(name)[0] for name in names]
        self._unnamed = len(self.header)
        while self.header and not self.header[-1]:
            self.header.pop()

    @property
    def form(self) -> list[object]:
        """What decides, beside a line itself, which cells are read of it."""
        return [self.header, self._unnamed, self.first, self._delimiter, *self._text.form]

    def rows(self, needed: Collection[int] | None = None) -> Iterator[Row]:
        """Yield every row that is wanted and not empty.

        Args:
            needed: Of Parquet and tables, the places of the columns whose cells need to have a
                text, from 0; None for all.
        """
        return self._of_columns(needed) if self.file.suffix in COLUMNAR else self._of_text()

    def lines(self) -> Iterator[tuple[int, list[str]]]:
        """Yield the lines below the header, some hundred at once, with the number of the first."""
        number, first = 1, self.first
        for some in self._text.batches():
            skipped = min(len(some), max(0, first - number))
            number += skipped
            del some[:skipped]
            if some:
                yield number, some
            number += len(some)

    def _wanted_lines(self) -> Iterator[tuple[Sequence[int], list[str]]]:
        """Yield the lines to be read, some at once, with the number of each.

        Raises:
            ConfigError: The file has more lines than before.
        """
        wanted = self.wanted
        if wanted is not None and not any(wanted):
            return
        for number, some in self.lines():
            numbers = range(number, number + len(some))
            if wanted is None:
                yield numbers, some
                continue
            if numbers.stop > len(wanted):
                raise ConfigError(f"{self.file.name}: was changed while it was read; run again")
            marks = wanted[number : numbers.stop]
            if any(marks):
                yield [*compress(numbers, marks)], [*compress(some, marks)]

    def _of_columns(self, needed: Collection[int] | None) -> Iterator[Row]:
        for number, texts in enumerate(rows_of(self.file, needed), 1):
            if isinstance(texts, Odd):
                yield number, Broken("cell-type", texts.column, texts.type), ()
            elif any(texts):
                yield number, texts, None if is_plain("".join(texts)) else ()

    def _of_text(self) -> Iterator[Row]:
        width, header = len(self.header), self.header
        is_after_broken = False
        for numbers, some in self._wanted_lines():
            if self.watch is not None:
                self.watch(numbers, some)
            found, odd = self._at_once(some), dict[int, list[str]]()
            if found is None:
                found = [self._one(*each, odd) for each in zip(some, numbers, strict=True)]
            oddities = None if not odd and is_plain("".join(chain.from_iterable(found))) else ()
            for line, text, cells in zip(numbers, some, found, strict=True):
                if len(cells) != width or isinstance(cells, Broken):
                    is_whole = not is_after_broken and text.endswith(ENDS)
                    is_after_broken = is_after_broken or isinstance(cells, Broken)
                    if any(cells):
                        yield self._of_other_width(line, cells, text, is_whole)
                elif any(cells):
                    is_after_broken = False
                    if cells == header or (cells[0][:2] == "--" and is_no_record(cells)):
                        yield line, Broken(NO_RECORD), ()
                    elif oddities is None or is_plain("".join(cells)):
                        yield line, cells, odd.get(line)
                    elif code := _fault(text, cells):
                        yield line, Broken(code), ()
                    else:
                        yield line, cells, odd.get(line, ())

    def _of_other_width(
        self, line: int, cells: list[str] | Broken, text: str, is_whole: bool
    ) -> Row:
        """Return a row without blank cells too many, or as it is where some are missing.

        Args:
            line: Where it is.
            cells: At least one of them is not blank.
            text: The line.
            is_whole: Whether the line has its end, and the one before it is no part of it.
        """
        # Spreadsheets leave out blank cells at the end of a row, and databases add them. Whether
        # the others are in their columns shows only when their contents are known.
        width = len(self.header)
        if isinstance(cells, Broken):
            return line, cells, ()
        if is_no_record(cells):
            return line, Broken(NO_RECORD), ()
        if code := _fault(text, cells):
            return line, Broken(code), ()
        if len(cells) > width:
            if any(cells[width:]) or self._has_blank_before_cell(text):
                return line, Broken("row-width"), ()
            return line, cells[:width], ["row-wider"] if len(cells) != self._unnamed else ()
        if not is_whole or self._has_blank_before_cell(text):
            return line, cells, ["row-width"]
        return line, cells, ["row-shorter"]

    def _has_blank_before_cell(self, line: str) -> bool:
        """Whether a comma of a text (`Byron, Jr.`) may have made two cells of one."""
        return any(
            cell.startswith(" ") for cell in next(csv.reader([line], delimiter=self._delimiter))
        )

    # -- lines

    def _found_header(self) -> tuple[str, int, str]:
        """Return what separates columns, how many lines stand before the header, and the header."""
        # These may: a line `sep=;`, blank lines, and a title, which has one cell alone.
        lines = list(islice(self._text.lines(), LINES_BEFORE_HEADER))
        said, place, header = "", 0, ""
        for number, line in enumerate(lines):
            if found := _named_delimiter(line.strip("\ufeff\r\n")):
                said = found[1]
                continue
            delimiter = said or max(DELIMITERS, key=line.count)
            names = [name for name in line.split(delimiter) if name.strip(' "\ufeff\r\n\t')]
            if len(names) > 1 or (names and not header):
                place, header = number, line
            if len(names) > 1:
                break
        if place:
            self.notes.append(("before-header", str(place)))
        return said or max(DELIMITERS, key=header.count), place, header.removeprefix("\ufeff")

    def _parsed(self, lines: Sequence[str]) -> list[list[str]]:
        """Return the cells of each row in some lines.

        Raises:
            csv.Error: A quote is never closed, or something follows it.
        """
        return list(
            csv.reader(lines, delimiter=self._delimiter, strict=True, skipinitialspace=True)
        )

    def _at_once(self, lines: Sequence[str]) -> list[list[str] | Broken] | None:
        """Return the cells of each line, or None if not every line is a row of its own."""
        if not self._text.is_clean:
            return None
        try:
            found: list[list[str] | Broken] = [*self._parsed(lines)]
        except csv.Error:
            return None
        return found if len(found) == len(lines) else None

    def _one(self, line: str, number: int, odd: dict[int, list[str]]) -> list[str] | Broken:
        """Return the cells of a line, and note in `odd` what is odd about it."""
        if not self._text.is_clean:
            text, is_odd = self._text.decoded(line)
            if text is None:
                return Broken("row-encoding")
            if is_odd:
                odd[number] = ["encoding-mixed"]
            line = text
        for each in (line, _blank_after_quote('"', line)):
            try:
                return next(iter(self._parsed([each])), [])
            except csv.Error:
                pass
        return Broken("row-broken")


def _fault(line: str, cells: Sequence[str]) -> str:
    """Return the code of the finding about a row whose cells may not be what they seem, or ""."""
    # Either of two:
    #   a backslash ends a cell -> before a comma that it was to make a letter
    #   a stray quote           -> those that belong where they are, are there in pairs
    if any(cell.endswith("\\") for cell in cells):
        return "row-width"
    odd = sum(cell.count('"') % 2 for cell in cells)
    return "row-broken" if odd > 1 or (odd == 1 and line.count('"') % 2 == 1) else ""
