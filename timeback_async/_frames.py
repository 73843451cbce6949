"""Let go of the frames that an error keeps alive: their variables hold records, bodies and tokens.

A traceback refers to the frames it passed through. An error that is kept, or that an error tracker
reads, would keep or show what is in them.
"""

from typing import TypeVar

__all__ = ["without_frames"]

E = TypeVar("E", bound=BaseException)


def without_frames(error: E) -> E:
    """Take the traceback from an error, its causes and its contexts; return the error."""
    seen: set[int] = set()
    waiting: list[BaseException | None] = [error]
    while waiting:
        each = waiting.pop()
        if each is not None and id(each) not in seen:
            seen.add(id(each))
            each.__traceback__ = None
            waiting += (each.__cause__, each.__context__)
    return error
