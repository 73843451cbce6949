"""Decide what waits for what in a bulk run, and which links cannot be sent.

Two records with the same key are sent in the order of the source. A link is sent after the people
that it names. For each of them the last record before the link decides: the link is not sent when
that record was not saved. What comes after the link does not count, however the run is timed.
"""

from collections.abc import Hashable

from .._wire.codec import Operation
from ..errors import RecordError
from .item import Item

__all__ = ["Order"]


class Order:
    """The order among the records of one run.

    Memory follows the number in flight, and the number of people who were not saved.
    """

    def __init__(self) -> None:
        self._latest: dict[Hashable, Item] = {}  # by key: the one read last, without a result
        # People whose last record in this run was not saved, and the index of that record.
        self._lost: dict[str, int] = {}

    def enter(self, item: Item, operation: Operation) -> None:
        """Add a record, and note in it what it waits for. Records are added as they are read."""
        latest, key = self._latest, operation.key
        if operation.needs:
            item.people = people = self._people(operation.needs)
            item.earlier = [person for person in people.values() if person is not None]
        if key is not None:
            if key in latest:
                item.earlier = [*item.earlier, latest[key]]
            latest[key] = item

    def _people(self, needs: tuple[str, ...]) -> dict[str, Item | None]:
        """Return those of a link's people who may hinder it; see `Item.people`."""
        people: dict[str, Item | None] = {}
        for person in needs:
            open_one, lost_at = self._latest.get(person), self._lost.get(person, -1)
            if open_one is not None and open_one.index > lost_at:
                people[person] = open_one
            elif lost_at >= 0:
                people[person] = None
        return people

    def hindrance(self, item: Item, operation: Operation) -> RecordError | None:
        """Return why a link cannot be sent, once all records before it have ended."""
        for field, person in zip(("studentId", "userId"), operation.needs, strict=True):
            if person in item.people:
                decisive = item.people[person]
                if decisive is None or not decisive.is_ok:
                    return RecordError(field, f"{person!r} was not saved in this run")
        return None

    def end(self, item: Item, kind: str, sourced_id: str) -> None:
        """Remove a record that has its result, and remember people who were not saved."""
        operation, latest, is_ok = item.operation, self._latest, item.is_ok
        if operation is not None:
            key = operation.key
            if key is None:
                return  # it was only read, and changes nothing
            if latest.get(key) is item:
                del latest[key]
        # The record that comes last in the source decides whether a person is lost.
        if is_ok and not self._lost:
            return
        if kind != "agent" and sourced_id:
            if not is_ok:
                self._lost[sourced_id] = max(item.index, self._lost.get(sourced_id, 0))
            elif self._lost.get(sourced_id, item.index) < item.index:
                del self._lost[sourced_id]
