"""Find the lines of one file that were in it last night, wherever they were not far from.

Memory holds some thousand lines of last night at once, so a line that has moved farther is taken
for a new one.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import count

from .prints import LINES_IN_GROUP, NOBODY, UNMARKED, Known, Prints, split

__all__ = ["BEHIND", "Matching"]

LINES_AHEAD = 8192
MOST_WAITING = 4 * LINES_AHEAD
NEW, BEHIND = 1, 2
UNKNOWN: Known = (NOBODY, UNMARKED, 0)


class Matching:
    """The lines of a file tonight, each with what is known of it.

    Args:
        first: The number of the first line below the header.
        changed: Takes the owners of lines that are gone, or have to be read again.
        near: Takes the owners of lines that have to be read for the sake of others.
        today: The day of the run, as a number.
        put: Takes the prints of each group of lines, in their order.
        is_ordered: Whether the order of one person's lines says something.

    Attributes:
        wanted: For each line, from number 0 on, 0 if it need not be read, NEW, or BEHIND if it is
            known, but stands behind one that is not.
    """

    def __init__(
        self,
        first: int,
        changed: set[int],
        near: set[int],
        today: int,
        put: Callable[[bytes], None],
        *,
        is_ordered: bool = False,
    ) -> None:
        self._first, self._changed, self._near = first, changed, near
        self._today, self._put = today, put
        self.wanted = bytearray(first)
        self._is_known = True  # the line before
        self._prints = Prints.blank(first)  # those of the group that is not full
        # If so: which one of last night each line is that waits, and the last one met tonight.
        self._places: dict[bytes, int] | None = {} if is_ordered else None
        self._numbers, self._farthest = count(), -1

    def take_all(self, groups: Iterable[Prints]) -> None:
        """Take the lines of last night, which are those of tonight."""
        for number, prints in enumerate(groups):
            digests, known = split(prints.digests), prints.known()
            place = 0 if number else self._first
            self._take(digests[place:], known[place:])

    def take(
        self, lines: Iterable[tuple[int, Sequence[bytes]]], groups: Iterator[Prints], most: int
    ) -> None:
        """Take the lines of tonight.

        Args:
            lines: Their digests, some at once, with the number of the first.
            groups: The lines of last night.
            most: How many people may have changed before it is given up.
        """
        waiting: dict[bytes, Known] = {}  # of last night, not met tonight
        loaded = 0
        for number, digests in lines:
            while loaded < number + len(digests) + LINES_AHEAD:
                loaded += LINES_IN_GROUP
                self._load(groups, waiting)
            while len(waiting) > MOST_WAITING:
                far = next(iter(waiting))
                self._changed.add(waiting.pop(far)[0])
                if self._places is not None:
                    del self._places[far]
            known = [waiting.pop(digest, UNKNOWN) for digest in digests]
            if self._places is not None:
                self._find_moved(digests, known, self._places)
            self._take(digests, known)
            if len(self._changed) > most:
                return
        while self._load(groups, waiting):
            pass
        self._changed.update(owner for owner, _, _ in waiting.values())

    def _load(self, groups: Iterator[Prints], waiting: dict[bytes, Known]) -> bool:
        """Load the next group of last night; return False if there is none."""
        prints = next(groups, None)
        if prints is None:
            return False
        digests, known = split(prints.digests), prints.known()
        found = dict(zip(digests, known, strict=True))
        is_plain = len(found) == len(digests) and UNMARKED not in prints.marks
        if is_plain and waiting.keys().isdisjoint(found):
            waiting |= found
            if self._places is not None:
                self._places |= zip(found, self._numbers, strict=False)
            return True
        for digest, each in zip(digests, known, strict=True):
            if each[1] == UNMARKED or digest in waiting:
                self._changed.add(each[0])
            else:
                waiting[digest] = each
                if self._places is not None:
                    self._places[digest] = next(self._numbers)
        return True

    def _find_moved(
        self, digests: Sequence[bytes], known: Sequence[Known], places: dict[bytes, int]
    ) -> None:
        """Find whose lines stand behind one that they stood before."""
        found = [places.pop(digest, -1) for digest in digests]
        farthest = self._farthest
        met = [farthest, *(place for place in found if place >= 0)]
        self._farthest = max(met)
        if met == sorted(met):  # nearly always, and this is quicker
            return
        for place, (owner, _, _) in zip(found, known, strict=True):
            if 0 <= place < farthest:
                self._changed.add(owner)
            farthest = max(place, farthest)

    def _take(self, digests: Sequence[bytes], known: Sequence[Known]) -> None:
        """Take some lines with what is known of each."""
        owners, marks, turns = map(list, zip(*known, strict=True))
        if any(turns):
            due = (owner for owner, _, turn in known if 0 < turn <= self._today)
            self._changed.update(due)
        wanted = bytearray(len(marks))
        if UNMARKED in marks or not self._is_known:
            self._choose(owners, marks, turns, wanted)
        self.wanted += wanted
        self._prints.extend(digests, owners, marks, turns)
        while len(self._prints.marks) >= LINES_IN_GROUP:
            self._put(self._prints.cut().packed())

    def _choose(
        self, owners: list[int], marks: list[int], turns: list[int], wanted: bytearray
    ) -> None:
        """Choose which of some lines have to be read, and forget what is known of them."""
        # A line behind one that is not known is read as well: some rows can only be understood
        # together with the next one.
        was_known = self._is_known
        for place, mark in enumerate(marks):
            is_known = mark != UNMARKED
            if not (is_known and was_known):
                if is_known:
                    self._near.add(owners[place])
                wanted[place] = BEHIND if is_known else NEW
                owners[place], marks[place], turns[place] = UNKNOWN
            was_known = is_known
        self._is_known = was_known

    def close(self) -> None:
        """Put the last group."""
        self._put(self._prints.padded().packed())
