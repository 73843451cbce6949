"""The register of damages, and how several are done to one package."""

import random
from collections.abc import Callable

from tests.support.damages.case import Case
from tests.support.damages.files import Line, Sheet

__all__ = [
    "CATALOGUE",
    "CELL",
    "FILE",
    "ROW",
    "TEXT",
    "Damage",
    "apply",
    "cells_of",
    "damage",
    "rows_of",
]

CELL, ROW, TEXT, FILE = range(4)  # in this order: a later one no longer finds cells
Draw = random.Random
Function = Callable[[Case, Draw], bool]


class Damage:
    """One way in which exports are damaged.

    Attributes:
        stage: What it needs: cells, rows, text, or whole files.
        is_of_known: Whether it can only be noticed by one who knows the people of before.
        is_alone: Whether nobody could notice it together with some other ones.
    """

    def __init__(self, function: Function, stage: int, is_of_known: bool, is_alone: bool) -> None:
        self.name = function.__name__
        self.stage, self.is_of_known, self.is_alone = stage, is_of_known, is_alone
        self.says = (function.__doc__ or "").strip()
        self._function = function

    def __call__(self, case: Case, draw: Draw) -> bool:
        """Damage a package; return whether there was anything to damage."""
        return self._function(case, draw)


CATALOGUE: dict[str, Damage] = {}


def damage(
    stage: int, *, is_of_known: bool = False, is_alone: bool = False
) -> Callable[[Function], Function]:
    def register(function: Function) -> Function:
        assert function.__name__ not in CATALOGUE
        CATALOGUE[function.__name__] = Damage(function, stage, is_of_known, is_alone)
        return function

    return register


def apply(case: Case, names: list[str], seed: object) -> Case:
    """Return a damaged copy of a package; `damages` are those that found something to damage."""
    case = case.copy()
    for name in sorted(names, key=lambda each: CATALOGUE[each].stage):
        has_people = bool(case.of("users"))  # not if an earlier damage has taken the file away
        if has_people and CATALOGUE[name](case, random.Random(f"{name} {seed}")):
            case.damages.append(name)
    case.harm_relatives()
    return case


def rows_of(case: Case, draw: Draw, *targets: str, most: int = 1) -> list[tuple[Sheet, Line]]:
    """Draw rows of one file."""
    sheets = [sheet for sheet in case.of(*targets) if sheet.rows()]
    if not sheets:
        return []
    sheet = draw.choice(sheets)
    rows = sheet.rows()
    chosen = draw.sample(rows, min(len(rows), draw.randint(1, most)))
    return [(sheet, line) for line in sheet.lines if line in chosen]


def cells_of(
    case: Case,
    draw: Draw,
    *fields: str,
    targets: tuple[str, ...] = ("users",),
    is_filled: bool = True,
    most: int = 3,
    fits: Callable[[str], bool] = lambda cell: True,
) -> list[tuple[Sheet, Line, int, str]]:
    """Draw one of the fields, and fitting cells of it: sheet, row, index of the cell, field."""
    found: dict[tuple[str, str], list[tuple[Sheet, Line, int, str]]] = {}
    for sheet in case.of(*targets):
        for field in dict.fromkeys(fields):
            place = sheet.place(field)
            if place is None:
                continue
            for line in sheet.rows():
                cell = line.cells[place] if len(line.cells) > place else None
                if cell is not None and bool(cell) == is_filled and fits(cell):
                    found.setdefault((sheet.name, field), []).append((sheet, line, place, field))
    if not found:
        return []
    every = found[draw.choice(sorted(found))]
    return (
        every if draw.random() < 0.2 else draw.sample(every, min(len(every), draw.randint(1, most)))
    )
