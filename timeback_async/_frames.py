"""Keep what is secret or personal out of tracebacks.

Error trackers store the local variables of every frame of a traceback. Those of this package hold
tokens, headers and the records of people.
"""

from typing import TypeVar

__all__ = ["Hidden", "without_frames"]

E = TypeVar("E", bound=BaseException)


class Hidden:
    """Holds a value whose repr must not be seen."""

    __slots__ = ("value",)

    def __init__(self, value: object) -> None:
        self.value = value

    def __repr__(self) -> str:
        return "…"


def without_frames(error: E) -> E:
    """Drop the frames of an error, of its causes and of its contexts; return the error."""
    seen: set[int] = set()
    chain: list[BaseException | None] = [error]
    while chain:
        link = chain.pop()
        if link is not None and id(link) not in seen:
            seen.add(id(link))
            link.__traceback__ = None
            chain += [link.__cause__, link.__context__]
    return error
