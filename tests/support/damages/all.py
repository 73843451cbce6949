"""The whole catalogue: importing its modules fills it."""

from tests.support.damages import (
    encodings,
    heads,
    ids,
    lists,
    packages,
    people,
    quotes,
    rows,
    texts,
    values,
    widths,
)
from tests.support.damages.catalogue import CATALOGUE, Damage, apply

__all__ = [
    "CATALOGUE", "Damage", "apply", "encodings", "heads", "ids", "lists", "packages", "people",
    "quotes", "rows", "texts", "values", "widths",
]  # fmt: skip
