"""Read the lines of a text file in the encoding that it has, which may be two.

Source: OneRoster 1.2 CSV binding (UTF-8; a BOM is to be tolerated); what spreadsheets and databases
write instead.
"""

import codecs
import io
from collections.abc import Iterator
from itertools import chain

from ...errors import ConfigError
from .files import DataFile, go_on, reading

__all__ = ["Text"]

BLOCK = 1 << 20
LETTERS_AT_ONCE = 1 << 15
HEAD = 200  # bytes at the beginning of a file, nearly all of them of its header
UTF_8 = "utf-8"
MOSTLY = 0.7
# What the ends of lines become where a byte is missing or too many.
SHIFTED_ENDS = ("\u0a00", "\u0d00")
# In which of four bytes in a row are zeros, where the text is ASCII.
ZEROS = {
    (False, True, False, True): "utf-16-le",
    (True, False, True, False): "utf-16-be",
    (False, True, True, True): "utf-32-le",
    (True, True, True, False): "utf-32-be",
}
# The longer mark first: it begins with the shorter one.
MARKS = {
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}


class Text:
    """The lines of a file.

    Args:
        file: Where they are.
        stated: The encoding that the user names; None if they name none.

    Attributes:
        notes: Findings about the file as a whole: code and detail.
        is_clean: Whether every line is in the same encoding.

    Raises:
        ConfigError: Most lines that are not ASCII are neither UTF-8 nor in the stated encoding.
    """

    # How a file is read, the surest sign first:
    #   a byte order mark, or the zeros of UTF-16 -> as UTF-16 or UTF-32
    #   an encoding of one byte a letter is stated -> a line that is UTF-8 as such, others as
    #       stated: in such an encoding, no name looks like UTF-8
    #   another encoding is stated -> as stated; a line that is not in it, as UTF-8
    #   none is stated -> as UTF-8; a line that is not UTF-8 is no row

    def __init__(self, file: DataFile, stated: str | None) -> None:
        self._file = file
        self.notes: list[tuple[str, str]] = []
        self.is_clean = True
        self._first, self._second, self._odd = UTF_8, "", ""
        stated = codecs.lookup(stated).name if stated else UTF_8
        wide = self._wide()
        if wide:
            self._first = stated if _is_wide(stated) and stated != "utf-16" else wide
            if not self._tried(self._first)[0]:
                raise ConfigError(f"{file.name}: is not {self._first}; export it again")
            self.notes.append(("encoding", self._first))
            return
        if _is_single_byte(stated):
            self._second = stated
        elif not (_is_wide(stated) or stated == "utf-8-sig"):
            self._first, self._second = stated, UTF_8 if stated != UTF_8 else ""
        is_in_first, is_ascii = self._tried(self._first)
        if not is_in_first:
            self._judge_lines()
        elif self._first != UTF_8 and not is_ascii:
            is_doubtful = self._tried(UTF_8)[0]
            self.notes.append(("encoding-doubtful" if is_doubtful else "encoding", self._first))

    @property
    def form(self) -> tuple[str, str, str, bool]:
        """What decides, beside the bytes of a line, which text they are."""
        return self._first, self._second, self._odd, self.is_clean

    def lines(self) -> Iterator[str]:
        """Return the lines with their ends; `decoded` mends those of a file that is not clean."""
        return chain.from_iterable(self.batches())

    def batches(self) -> Iterator[list[str]]:
        """Yield the same lines, some hundred at once."""
        errors = "strict" if self.is_clean else "surrogateescape"
        with (
            reading(self._file) as stream,
            io.TextIOWrapper(stream, self._first, errors, newline="") as text,
        ):
            some = text.readlines(LETTERS_AT_ONCE)
            if some:
                some[0] = some[0].removeprefix("\ufeff")
            while some:
                go_on()
                yield some
                some = text.readlines(LETTERS_AT_ONCE)

    def decoded(self, line: str) -> tuple[str | None, bool]:
        """Return a line of a file that is not clean as it was meant; None if that is not known.

        The second value tells whether it is in another encoding than most lines of the file.
        """
        if line.isascii():
            return line, False
        raw = line.encode(self._first, "surrogateescape")
        for encoding in filter(None, (self._first, self._second)):
            try:
                return raw.decode(encoding), encoding == self._odd
            except UnicodeError:
                pass
        return None, False

    def _wide(self) -> str:
        """Return the encoding of a file whose letters have two or four bytes each; else ""."""
        with reading(self._file) as stream:
            head = stream.read(HEAD)
        for mark, name in MARKS.items():
            if head.startswith(mark):
                return name
        zeros = [head[lane::4].count(0) * 4 > MOSTLY * len(head) for lane in range(4)]
        return ZEROS.get((zeros[0], zeros[1], zeros[2], zeros[3]), "")

    def _tried(self, encoding: str) -> tuple[bool, bool]:
        """Return whether the whole file is in an encoding, and whether it is ASCII."""
        decoder, is_ascii = codecs.getincrementaldecoder(encoding)(), True
        with reading(self._file) as stream:
            try:
                while block := stream.read(BLOCK):
                    is_ascii = is_ascii and block.isascii()
                    text = decoder.decode(block)
                    if _is_wide(encoding) and any(map(text.__contains__, SHIFTED_ENDS)):
                        return False, False
                decoder.decode(b"", final=True)
            except UnicodeError:
                return False, False
        return True, is_ascii

    def _judge_lines(self) -> None:
        """Find the encoding of each line, and refuse a file of which most are in none."""
        self.is_clean = False
        first = second = neither = line_of_first = 0
        for number, line in enumerate(self.lines(), 1):
            text, _ = self.decoded(line)
            if text is None:
                neither += 1
                line_of_first = line_of_first or number
            elif text != line:
                second += 1
            elif not line.isascii():
                first += 1
        if neither > first + second:
            where = f"{self._file.name}:{line_of_first}"
            if self._second:
                stated = self._second if self._first == UTF_8 else self._first
                raise ConfigError(f"{where}: is neither UTF-8 nor {stated}; export it again")
            raise ConfigError(
                f'{where}: is not UTF-8; pass its encoding, for example encoding="cp1252"'
            )
        if first and second:
            self._odd = self._first if first < second else self._second
        if (second and self._first == UTF_8) or (first and self._first != UTF_8):
            self.notes.append(("encoding", self._second if self._first == UTF_8 else self._first))


def _is_wide(encoding: str) -> bool:
    return encoding.startswith(("utf-16", "utf-32"))


def _is_single_byte(encoding: str) -> bool:
    """Whether most bytes above ASCII are letters of their own in an encoding."""
    letters = bytes(range(128, 256)).decode(encoding, "replace")
    return len(letters) == 128 and letters.count("\ufffd") < 64
