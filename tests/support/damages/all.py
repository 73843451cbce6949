"""The whole catalogue: importing its modules fills it."""

from tests.support.damages import (
    columns,
    encodings,
    formats,
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
    "CATALOGUE", "Damage", "apply", "columns", "encodings", "formats", "heads", "ids", "lists",
    "packages", "people", "quotes", "rows", "texts", "values", "widths",
]  # fmt: skip
