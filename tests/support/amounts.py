"""How much a test does where its claim does not depend on it: a little, or as much as CI does."""

import os
from collections.abc import Sequence
from itertools import product
from typing import TypeVar

__all__ = ["IS_LONG", "amount", "in_turn"]

A = TypeVar("A")
B = TypeVar("B")

IS_LONG = bool(os.environ.get("LONG_TESTS"))


def amount(usual: int, *, long: int) -> int:
    """Return the usual number, or the long run's where LONG_TESTS is set."""
    return long if IS_LONG else usual


def in_turn(some: Sequence[A], ways: Sequence[B]) -> list[tuple[A, B]]:
    """Return each of some with one of the ways, in turn; all with all where LONG_TESTS is set."""
    if IS_LONG:
        return list(product(some, ways))
    return [(each, ways[number % len(ways)]) for number, each in enumerate(some)]
