"""Decide which numbers in a text can be a part of a number, or of a date, that we sent."""

import re
from collections.abc import Iterable, Iterator
from itertools import pairwise

from .names import tokens_of

__all__ = ["Numbers"]

NUMBER = 4  # digits with which a number by itself can identify: a year, the end of a phone number
SHARED = 6  # digits in a row that two numbers do not share by chance
SPAN = 4  # words between the first and the last of a date, as in "4 de marzo de 2012"
_months = (
    "january", "february", "march", "april", "may", "june", "july", "august", "september",
    "october", "november", "december",
)  # fmt: skip
# A name can be cut off after three letters or more: "Sept".
MONTHS = {
    name[:length]: month
    for month, name in enumerate(_months, 1)
    for length in range(3, len(name) + 1)
}

_digit = re.compile(r"\d").search
_is_join = re.compile(r"[\s().,+/:\u2013-]{0,3}").fullmatch


class Numbers:
    """The numbers in what we sent: dates, phone numbers, and others of four digits or more.

    A number in a text can be a part of them when
    - it is one of four digits or more
    - it has six digits in a row in common with one, whatever stands between groups of digits
    - it is a part of a date of the same three numbers, in any order, the year with two digits or
      four; or of the day and the month alone; or stands close to the year of a date
    """

    def __init__(self, values: Iterable[str]) -> None:
        self._numbers: set[str] = set()
        self._shared: set[str] = set()
        self._dates: set[tuple[int, ...]] = set()
        self._days: dict[int, set[int]] = {}  # days and months, by the year
        for value in filter(_digit, values):
            tokens = tokens_of(value)
            digits = _digits(tokens)
            self._numbers |= {number for number in digits.values() if len(number) >= NUMBER}
            for run in _runs(value, tokens, digits):
                self._shared |= _in_a_row("".join(digits[place] for place in run))
            for _, date in _dates(tokens, digits):
                self._add_date(*date)

    def _add_date(self, *date: int) -> None:
        years = [number for number in date if 1900 <= number <= 2100]
        days = [number for number in date if 1 <= number <= 31]
        if len(years) != 1 or len(days) != 2:
            return
        [year], [day, month] = years, days
        if _sorted(year, day, month) in self._dates:
            return
        self._dates |= {
            _sorted(year, day, month),
            _sorted(year % 100, day, month),
            _sorted(day, month),
        }
        self._numbers.add(str(year))
        self._days.setdefault(year, set()).update(days)
        for a, b in ((day, month), (month, day)):
            for y in (f"{year}", f"{year % 100:02}"):
                self._shared |= _in_a_row(f"{y}{a:02}{b:02}") | _in_a_row(f"{a:02}{b:02}{y}")

    def found_in(self, text: str, tokens: list[re.Match[str]]) -> set[int]:
        """Return the places of the tokens of the text that can be a part of these numbers."""
        if not _digit(text):
            return set()
        digits = _digits(tokens)
        found = {place for place, number in digits.items() if number in self._numbers}
        for run in _runs(text, tokens, digits):
            owners = [place for place in run for _ in digits[place]]  # of each digit
            joined = "".join(digits[place] for place in run)
            for start in range(len(joined)):
                if joined[start : start + SHARED] in self._shared:
                    found.update(owners[start : start + SHARED])
        figures = _figures(tokens, digits)
        for places, date in _dates(tokens, digits):
            if _sorted(*date) in self._dates:
                found.update(places)
        for (first, a), (last, b) in pairwise(figures):
            if last == first + 1 and _sorted(a, b) in self._dates:
                found |= {first, last}
        for place, year in figures:
            days = self._days.get(year, ())
            for other, number in figures:
                if number in days and abs(place - other) <= SPAN:
                    found.update(range(min(place, other), max(place, other) + 1))
        return found


def _sorted(*numbers: int) -> tuple[int, ...]:
    return tuple(sorted(numbers))


def _digits(tokens: list[re.Match[str]]) -> dict[int, str]:
    """Return the numbers by their places, in ASCII digits."""
    return {
        place: "".join(str(int(digit)) for digit in token[0])
        for place, token in enumerate(tokens)
        if token[0].isdecimal()
    }


def _runs(text: str, tokens: list[re.Match[str]], digits: dict[int, str]) -> Iterator[list[int]]:
    """Yield the places of numbers with nothing but a little punctuation between them."""
    run: list[int] = []
    for place in digits:
        if run and not (
            run[-1] == place - 1 and _is_join(text, tokens[place - 1].end(), tokens[place].start())
        ):
            yield run
            run = []
        run.append(place)
    if run:
        yield run


def _in_a_row(digits: str) -> set[str]:
    return {digits[place : place + SHARED] for place in range(len(digits) - SHARED + 1)}


def _figures(tokens: list[re.Match[str]], digits: dict[int, str]) -> list[tuple[int, int]]:
    """Return the numbers that can be in a date with their places; a month by name is one, too."""
    figures = []
    for place, token in enumerate(tokens):
        number = digits.get(place)
        if number is None:
            month = MONTHS.get(token[0].lower())
            figures += [(place, month)] if month else []
        elif len(number) <= 4:
            figures.append((place, int(number)))
    return figures


def _dates(
    tokens: list[re.Match[str]], digits: dict[int, str]
) -> Iterator[tuple[Iterable[int], tuple[int, int, int]]]:
    """Yield three numbers that may be a date, and the places between the first and the last."""
    figures = _figures(tokens, digits)
    for (first, a), (_, b), (last, c) in zip(figures, figures[1:], figures[2:], strict=False):
        if last - first <= SPAN:
            yield range(first, last + 1), (a, b, c)
    for place, number in digits.items():
        if len(number) == 8:
            for split in ((4, 6), (2, 4)):
                ends = (0, *split, 8)
                a, b, c = (int(number[start:end]) for start, end in pairwise(ends))
                yield [place], (a, b, c)
