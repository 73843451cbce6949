"""The whole catalogue: importing its modules fills it."""

from tests.support.damages import cells, ids, lists, packages, rows, texts
from tests.support.damages.catalogue import CATALOGUE, Damage, apply

__all__ = ["CATALOGUE", "Damage", "apply", "cells", "ids", "lists", "packages", "rows", "texts"]
