"""How much a test does where its claim does not depend on it: a little, or as much as CI does."""

import os

__all__ = ["IS_LONG", "amount"]

IS_LONG = bool(os.environ.get("LONG_TESTS"))


def amount(usual: int, *, long: int) -> int:
    """Return the usual number, or the long run's where LONG_TESTS is set."""
    return long if IS_LONG else usual
