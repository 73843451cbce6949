"""Keep what is known of each line of a file: its digest, whose it is, and what was found in it.

Lines are kept in groups, in the order of the file; nothing of them can be read without the state's
key. `Prints` is one group in memory, its `packed` form what databases keep.
"""

from array import array
from collections.abc import Iterable
from typing import Self

import msgspec

__all__ = ["DIGEST_SIZE", "LINES_IN_GROUP", "NOBODY", "UNMARKED", "Known", "Prints", "split"]

LINES_IN_GROUP = 4096
DIGEST_SIZE = 16
NOBODY = 0  # the owner of a line that says nothing of a person
UNMARKED = 0  # the mark of a line that has to be read in any case

Known = tuple[int, int, int]  # of one line: its owner, its mark and its turn


class _Packed(msgspec.Struct, array_like=True):
    digests: bytes
    owners: bytes
    marks: bytes
    turns: bytes


class Prints:
    """What is known of some lines in a row.

    Attributes:
        digests: DIGEST_SIZE bytes for each line.
        owners: Of whom each line speaks: a number made of the sourcedId and the state's key.
        marks: The number of what was found in each line, as `Night` counts it, or UNMARKED.
        turns: The day from which on each line may say something else, or 0 for none.
    """

    __slots__ = ("digests", "marks", "owners", "turns")

    def __init__(
        self, digests: bytearray, owners: "array[int]", marks: bytearray, turns: "array[int]"
    ) -> None:
        self.digests, self.owners, self.marks, self.turns = digests, owners, marks, turns

    @classmethod
    def blank(cls, number: int) -> Self:
        """Return prints of some lines of which nothing is known."""
        return cls(
            bytearray(DIGEST_SIZE * number),
            array("Q", bytes(8 * number)),
            bytearray(number),
            array("I", bytes(array("I").itemsize * number)),
        )

    @classmethod
    def unpacked(cls, packed: bytes) -> Self:
        """Return the prints that `packed` wrote."""
        found = _decode(packed)
        turns = found.turns or bytes(array("I").itemsize * len(found.marks))
        owners = array("Q", found.owners)
        return cls(bytearray(found.digests), owners, bytearray(found.marks), array("I", turns))

    def extend(
        self,
        digests: Iterable[bytes],
        owners: Iterable[int],
        marks: Iterable[int],
        turns: Iterable[int],
    ) -> None:
        """Add lines behind them."""
        self.digests += b"".join(digests)
        self.owners.extend(owners)
        self.marks += bytes(marks)
        self.turns.extend(turns)

    def cut(self) -> Self:
        """Remove the first LINES_IN_GROUP lines, and return them."""
        end = LINES_IN_GROUP
        cut = type(self)(
            self.digests[: end * DIGEST_SIZE], self.owners[:end], self.marks[:end], self.turns[:end]
        )
        del self.digests[: end * DIGEST_SIZE], self.owners[:end], self.marks[:end], self.turns[:end]
        return cut

    def padded(self) -> Self:
        """Fill them up to LINES_IN_GROUP lines; return them."""
        more = self.blank(LINES_IN_GROUP - len(self.marks))
        self.digests += more.digests
        self.owners += more.owners
        self.marks += more.marks
        self.turns += more.turns
        return self

    def packed(self) -> bytes:
        """Return them as bytes."""
        turns = self.turns.tobytes() if any(self.turns) else b""
        return _encode(
            _Packed(bytes(self.digests), self.owners.tobytes(), bytes(self.marks), turns)
        )

    def known(self) -> list[Known]:
        """Return owner, mark and turn of each line."""
        return list(zip(self.owners, self.marks, self.turns, strict=True))


def split(digests: bytes | bytearray) -> list[bytes]:
    """Return digests that stand one after the other."""
    whole = bytes(digests)
    return [whole[at : at + DIGEST_SIZE] for at in range(0, len(whole), DIGEST_SIZE)]


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Packed).decode
