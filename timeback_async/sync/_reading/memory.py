"""What a state remembers of the files of the last night on which everything was saved.

It holds digests that mean nothing without the state's key, and no value of any person.
"""

from array import array
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from typing import Protocol

import msgspec

__all__ = [
    "HEAD",
    "LINKS",
    "NAMES",
    "OPEN",
    "Found",
    "Head",
    "Memory",
    "grouped",
    "lines_of",
    "numbers",
]

HEAD = "head"
LINKS = "links"  # pairs of people who are linked
NAMES = "names"  # pairs of a username, or an identifier, and the person who has it
OPEN = "open"  # people who have to be read in any case
NUMBERS_IN_GROUP = 8192

# What was made of a line: the kind of the person, and code and field of each finding.
Found = tuple[str, tuple[tuple[str, str], ...]]


class Head(msgspec.Struct, frozen=True):
    """What is true of all parts.

    Attributes:
        context: Differs if the same lines may say something else.
        day: The day of that night, as `date.toordinal` counts it.
        found: What was made of lines; a line's mark is the place in this list, from 1.
        files: Digest and last line of each file, by its name from run to run.
        parts: How many groups each part has.
    """

    context: bytes
    day: int
    found: list[Found]
    files: dict[str, tuple[bytes, int]]
    parts: dict[str, int]

    @classmethod
    def from_bytes(cls, packed: bytes) -> "Head":
        """Return the head that `packed` wrote."""
        return _decode(packed)

    def packed(self) -> bytes:
        """Return it as bytes."""
        return _encode(self)


class Memory(Protocol):
    """A state, as reading knows it."""

    @property
    def changes(self) -> int:
        """How often it was changed since it was opened."""

    @property
    def lock(self) -> AbstractContextManager[bool]:
        """Held by the thread that uses it."""

    def hashes_of(self, contents: Iterable[bytes]) -> list[bytes]:
        """Return the keyed hash of each of them."""

    def owner_of(self, sourced_id: str) -> int:
        """Return the number that stands for a person."""

    def remembered_head(self) -> bytes | None:
        """Return the head of what is remembered; None if it no longer holds."""

    def remembered(self, part: str) -> Iterator[bytes]:
        """Yield the groups of one part, in their order.

        Raises:
            ValueError: One of them is damaged.
        """


def lines_of(file: str) -> str:
    """Return the name of the part that holds the prints of a file."""
    return f"lines {file}"


def numbers(group: bytes) -> "array[int]":
    """Return the numbers in a group."""
    return array("Q", group)


def grouped(found: Iterable[int]) -> Iterator[bytes]:
    """Yield numbers in groups; those of one pair stay together."""
    group = array("Q")
    for number in found:
        group.append(number)
        if len(group) == NUMBERS_IN_GROUP:
            yield group.tobytes()
            group = array("Q")
    if group:
        yield group.tobytes()


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Head).decode
