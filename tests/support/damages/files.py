"""A package on its way to bytes: every line knows whose it is, whatever becomes of it."""

import re
from collections.abc import Iterator
from pathlib import Path

__all__ = ["Line", "Sheet", "Verbatim", "breaks_in", "write"]

breaks_in = re.compile("\r\n|\r|\n").findall


class Verbatim(str):
    """A cell that is written as it is, without quotes of ours."""

    __slots__ = ()


class Line:
    """One row of a file: cells until a damage writes it as text, text until one writes bytes.

    Attributes:
        owners: Ids of the people of whom it says something.
        links: Pairs of ids that it links: the one whose row it is, and the other.
        is_merged: Whether the reader may make one record of it and of another line.
        is_noise: Whether it is no row of the table.
    """

    def __init__(self, cells: list[str], owners: set[str], links: set[tuple[str, str]]) -> None:
        self.cells, self.owners, self.links = cells, owners, links
        self.text: str | None = None
        self.raw: bytes | None = None
        self.end: str | None = None
        self.is_merged = self.is_noise = False

    def copy(self) -> "Line":
        other = Line(list(self.cells), set(self.owners), set(self.links))
        other.text, other.raw, other.end = self.text, self.raw, self.end
        other.is_merged, other.is_noise = self.is_merged, self.is_noise
        return other


def noise(text: str) -> Line:
    """Return a line of text that is no row of the table."""
    line = Line([], set(), set())
    line.text, line.is_noise = text, True
    return line


class Sheet:
    """A CSV of a package.

    Attributes:
        name: Of the file.
        target: OneRoster's name of what it holds.
        fields: OneRoster's field of each column.
        head: The header; `preface` stands before it.
        lines: The rows, and whatever else stands among them.
    """

    def __init__(self, name: str, target: str, fields: list[str], header: list[str]) -> None:
        self.name, self.target, self.fields = name, target, fields
        self.head = Line(header, set(), set())
        self.preface: list[Line] = []
        self.lines: list[Line] = []
        self.delimiter, self.end, self.quoting = ",", "\r\n", "minimal"
        self.encoding, self.mark = "utf-8", b""
        self.has_last_end = True
        self.tail = b""

    def copy(self) -> "Sheet":
        other = Sheet(self.name, self.target, list(self.fields), [])
        other.head = self.head.copy()
        other.preface = [line.copy() for line in self.preface]
        other.lines = [line.copy() for line in self.lines]
        other.delimiter, other.end, other.quoting = self.delimiter, self.end, self.quoting
        other.encoding, other.mark, other.tail = self.encoding, self.mark, self.tail
        other.has_last_end = self.has_last_end
        return other

    def place(self, field: str) -> int | None:
        return self.fields.index(field) if field in self.fields else None

    def rows(self) -> list[Line]:
        """Return the rows that nothing has turned into text yet."""
        return [
            line for line in self.lines if line.text is None and line.raw is None and line.cells
        ]

    def text_of(self, line: Line) -> str:
        if line.text is not None:
            return line.text
        return self.delimiter.join(map(self._cell, line.cells))

    def _cell(self, cell: str) -> str:
        if isinstance(cell, Verbatim):
            return cell
        needs = self.quoting == "all" or (self.quoting == "filled" and cell != "")
        if needs or any(mark in cell for mark in (self.delimiter, '"', "\r", "\n")):
            return '"' + cell.replace('"', '""') + '"'
        return cell

    def _pieces(self) -> Iterator[tuple[Line, bytes, int]]:
        """Yield every line with its bytes, and by how many physical lines the next is lower."""
        every = [*self.preface, self.head, *self.lines]
        for line in every:
            end = self.end if line.end is None else line.end
            if line is every[-1] and not self.has_last_end:
                end = ""
            if line.raw is not None:
                steps = len(breaks_in(line.raw.decode("latin-1") + end))
                yield line, line.raw + end.encode(self.encoding), steps
                continue
            text = self.text_of(line) + end
            yield line, text.encode(self.encoding), len(breaks_in(text))

    def written(self) -> tuple[bytes, dict[int, list[Line]]]:
        """Return the file, and the lines that stand on each physical line, from 1."""
        parts, number = [self.mark], 1
        places: dict[int, list[Line]] = {}
        for line, raw, steps in self._pieces():
            parts.append(raw)
            for each in range(number, number + max(steps, 1)):
                places.setdefault(each, []).append(line)
            number += steps
        return b"".join(parts) + self.tail, places


def write(folder: Path, files: dict[str, bytes]) -> None:
    """Write a package into a folder that holds nothing else."""
    folder.mkdir(exist_ok=True)
    for old in folder.iterdir():
        old.unlink()
    for name, content in files.items():
        (folder / name).write_bytes(content)
