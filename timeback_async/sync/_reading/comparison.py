"""Find out who of a roster is as on the last night on which everything was saved.

A line that is the same says the same, as long as everything else does that decides what it means.
So three groups of people are told apart:

- *changed*: a line of theirs, in any file, is new, gone or different; or they have to be read in
  any case, because more than their own lines decided what was made of them.
- *near*: their lines are the same, but they are linked with one of the changed, or may have the
  same username. They are read, too, and only their links with the changed are made anew.
- all others, who are *still*: they, and their links with each other, are not read.

Anything uncertain makes a person a changed one, and anything that concerns everybody makes the
whole roster be read.
"""

import struct
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from .database import RosterDatabase
from .lists import listed_ids, user_ids
from .matching import BEHIND, Matching
from .memory import LINKS, NAMES, OPEN, Head, Memory, lines_of, numbers
from .prints import LINES_IN_GROUP, NOBODY, UNMARKED, Prints
from .rows import Rows
from .values import UNREADABLE

__all__ = ["MOST_CHANGED", "OWNERS", "Comparison", "digests_of", "identities_in", "numbers_of"]

# Who is spoken of in a line of each file.
OWNERS = {
    "roles": "userSourcedId",
    "userprofiles": "userSourcedId",
    "demographics": "sourcedId",
    "users": "sourcedId",
}
# Where a row that cannot be read, or is of nobody, changes what is known of everybody.
OF_EVERYBODY = ("roles", "demographics")
MOST_CHANGED = 200_000  # people; with more, it costs less to read everything


class Comparison:
    """What differs from last night. Every method raises a ValueError if the memory is damaged.

    Args:
        database: Of the roster; takes the prints of the lines that are the same.
        memory: What last night was.
        head: Of the memory.
        today: The day of the run, as a number.

    Attributes:
        head: See above.
        changed: The changed people.
        near: Those near to them.
        still: How many people are still, by their kind, and their links as "agent".
        last: The last line of each file, by its name from run to run.
    """

    def __init__(self, database: RosterDatabase, memory: Memory, head: Head, today: int) -> None:
        self._database, self._memory, self.head, self._today = database, memory, head, today
        self.changed = {owner for group in self._groups(OPEN) for owner in numbers(group)}
        self.near: set[int] = set()
        self.still: Counter[str] = Counter()
        self.last: dict[str, int] = {}

    def is_useful(self, files: Sequence[Rows], digests: Mapping[str, bytes]) -> bool:
        """Find who has changed, and who is near; return False if everybody has to be read."""
        for rows in files:
            self._match(rows, is_same=digests[rows.name] == self.head.files[rows.name][0])
            if len(self.changed) > MOST_CHANGED:
                return False
        names: set[int] = set()
        if not all(self._is_read(rows, names) for rows in files):
            return False
        self.changed.discard(NOBODY)
        self._find_near(names)
        return len(self.changed) <= MOST_CHANGED

    def _match(self, rows: Rows, *, is_same: bool) -> None:
        """Find the lines of one file that are as they were."""
        file, table = rows.file, rows.table
        number = 0

        def put(prints: bytes) -> None:
            nonlocal number
            self._database.put_prints(file, number, prints)
            number += 1

        matching = Matching(
            table.first, self.changed, self.near, self._today, put,
            is_ordered=rows.layout.target == "roles",  # the first one may give the primary org
        )  # fmt: skip
        known = map(Prints.unpacked, self._groups(lines_of(rows.name)))
        if is_same:
            matching.take_all(known)
            self.last[rows.name] = self.head.files[rows.name][1]
        else:
            lines = ((number, digests_of(self._memory, some)) for number, some in table.lines())
            matching.take(lines, known, MOST_CHANGED)
        matching.close()
        if not is_same:
            self.last[rows.name] = len(matching.wanted) - 1
        self._want(rows, matching.wanted)

    def _want(self, rows: Rows, wanted: bytearray) -> None:
        """Set which lines of a file are to be read."""
        first = rows.table.first
        rows.table.wanted = bytearray(first) + wanted[first : self.last[rows.name] + 1]

    def _is_read(self, rows: Rows, names: set[int]) -> bool:
        """Read the lines of a file that are not known; return False if they concern everybody.

        Args:
            rows: The rows of the file.
            names: Takes the names in them that only one person may have.
        """
        owner_of, target, more = self._memory.owner_of, rows.layout.target, rows.again()
        wanted = rows.table.wanted
        assert wanted is not None
        for line, row in more:
            if wanted[line] == BEHIND:
                continue
            sourced_id = row.get(OWNERS[target])
            if sourced_id is not None:
                self.changed.add(owner_of(sourced_id))
            elif target in OF_EVERYBODY:
                return False
            if "agentSourcedIds" in row:
                agents = listed_ids(row["agentSourcedIds"], lambda code: None)
                self.near.update(map(owner_of, agents))
            names.update(numbers_of(self._memory, _names_in(row)))
        if target in OF_EVERYBODY and all(wanted[rows.table.first :]):  # it may say nothing now
            return False
        return not (more.broken and (target in OF_EVERYBODY or self._has_shorter_rows()))

    def _has_shorter_rows(self) -> bool:
        """Whether rows end early: how those are read depends on a broken row near them."""
        codes = (code for _, found in self.head.found for code, _ in found)
        return any(code == "row-shorter" for code in codes)

    def _find_near(self, names: set[int]) -> None:
        changed, near = self.changed, self.near
        # One of the changed may go by another of their names than last night.
        for of_names, owners in self._pairs(NAMES):
            if not changed.isdisjoint(owners):
                pairs = zip(of_names, owners, strict=True)
                names.update(name for name, owner in pairs if owner in changed)
        for of_names, owners in self._pairs(NAMES):
            if not names.isdisjoint(of_names):
                pairs = zip(of_names, owners, strict=True)
                near.update(owner for name, owner in pairs if name in names)
        links = 0
        for some, others in self._pairs(LINKS):
            for one, other in zip(some, others, strict=True):
                if one in changed:
                    near.add(other)
                elif other in changed:
                    near.add(one)
                else:
                    links += 1
        self.still["agent"] = links

    def choose(self, rows: Rows, repeat: Callable[[int, str, str], None]) -> None:
        """Choose the lines of a file that have to be read, and count the others.

        Args:
            rows: The rows of the file.
            repeat: Takes line, code and field of each finding in the others.
        """
        read = self.changed | self.near
        wanted, counts = bytearray(), Counter[int]()
        for number, packed in enumerate(self._database.prints(rows.file)):
            prints = Prints.unpacked(packed)
            marks = prints.marks
            if not read.isdisjoint(prints.owners):
                marks = bytearray(
                    UNMARKED if owner in read else mark
                    for owner, mark in zip(prints.owners, marks, strict=True)
                )
            wanted += bytes(map(UNMARKED.__eq__, marks))
            for mark in set(marks):
                counts[mark] += marks.count(mark)
            self._repeat(number * LINES_IN_GROUP, marks, repeat)
        self._want(rows, wanted)
        del counts[UNMARKED]
        rows.table.skipped = counts.total()
        if rows.layout.target == "users":
            for mark, number in counts.items():
                self.still[self.head.found[mark - 1][0]] += number

    def _repeat(
        self, first: int, marks: bytearray, repeat: Callable[[int, str, str], None]
    ) -> None:
        found = {mark: self.head.found[mark - 1][1] for mark in set(marks) if mark != UNMARKED}
        if any(found.values()):
            for line, mark in enumerate(marks, first):
                for code, field in found.get(mark, ()):
                    repeat(line, code, field)

    # -- what stays as it was

    def still_links(self) -> Iterator[int]:
        """Yield the people of each link between two who have not changed."""
        changed = self.changed
        for some, others in self._pairs(LINKS):
            for one, other in zip(some, others, strict=True):
                if one not in changed and other not in changed:
                    yield one
                    yield other

    def still_names(self) -> Iterator[int]:
        """Yield each name of somebody who is still, and who that is."""
        read = self.changed | self.near
        for names, owners in self._pairs(NAMES):
            for name, owner in zip(names, owners, strict=True):
                if owner not in read:
                    yield name
                    yield owner

    def _pairs(self, part: str) -> Iterator[tuple[Sequence[int], Sequence[int]]]:
        """Yield the first and the second ones of some pairs at once."""
        for group in self._groups(part):
            found = numbers(group)
            yield found[::2], found[1::2]

    def _groups(self, part: str) -> Iterator[bytes]:
        number = 0
        for group in self._memory.remembered(part):
            number += 1
            yield group
        if number != self.head.parts.get(part, 0):
            raise ValueError(f"{part}: is damaged")


def identities_in(row: Mapping[str, str]) -> Iterator[str]:
    """Yield the identifiers in a row that only one person may have."""
    if "userIds" in row:
        yield from (identity for identity in user_ids(row["userIds"]) if ":" in identity)
    if "userMasterIdentifier" in row:
        yield row["userMasterIdentifier"]


def _names_in(row: Mapping[str, str]) -> Iterator[str]:
    """Yield username and identifiers, as `RosterDatabase.names` does."""
    username = row.get("username", UNREADABLE)
    if username != UNREADABLE:
        yield f"u{username}"
    for identity in identities_in(row):
        yield f"i{identity}"


def digests_of(memory: Memory, texts: Iterable[str]) -> list[bytes]:
    """Return the digest of each text."""
    return memory.hashes_of(text.encode(errors="surrogatepass") for text in texts)


def numbers_of(memory: Memory, texts: Iterable[str]) -> Sequence[int]:
    """Return a number for each text; that of a sourcedId stands for the person."""
    digests = digests_of(memory, texts)
    return struct.unpack(f">{len(digests) * 2}Q", b"".join(digests))[::2]
