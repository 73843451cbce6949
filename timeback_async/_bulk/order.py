"""What waits for what in a bulk run, and which links have lost their people.

Two records with one key are sent in the order of the source. A link is sent after the people it
names; it is not sent at all where one of them was not saved in this run.
"""

from collections.abc import Hashable

from .._wire.codec import Operation
from ..errors import RecordError
from .item import Item

__all__ = ["Order"]


class Order:
    """The order among the records of one run, in memory that follows the number in flight.

    It also holds the ids of people who were not saved, for the links that name them.
    """

    def __init__(self) -> None:
        self._latest: dict[Hashable, Item] = {}  # by key: the last one read that has no result
        # People whose last record in this run is not saved, and its index.
        self._lost: dict[str, int] = {}

    def enter(self, item: Item, operation: Operation) -> list[Item]:
        """Take a record in; return those read earlier that have to end before it is sent."""
        latest, key, needs = self._latest, operation.key, operation.needs
        earlier = [latest[person] for person in needs if person in latest] if needs else []
        if key is not None:
            if key in latest:
                earlier.append(latest[key])
            latest[key] = item
        return earlier

    def hindrance(self, operation: Operation) -> RecordError | None:
        """Return why a link cannot be sent: one of its people was not saved in this run."""
        if operation.needs and self._lost:
            for field, person in zip(("studentId", "userId"), operation.needs, strict=True):
                if person in self._lost:
                    return RecordError(field, f"{person!r} was not saved in this run")
        return None

    def end(self, item: Item, kind: str, sourced_id: str, is_ok: bool) -> None:
        """Let a record go that has its result."""
        operation, latest = item.operation, self._latest
        if operation is not None:
            key = operation.key
            if key is None:
                return  # only read: it changes nobody
            if latest.get(key) is item:
                del latest[key]
        # A person is lost, or found again, by the record that stands last in the source.
        if is_ok and not self._lost:
            return
        if kind != "agent" and sourced_id:
            if not is_ok:
                self._lost[sourced_id] = max(item.index, self._lost.get(sourced_id, 0))
            elif self._lost.get(sourced_id, item.index) < item.index:
                del self._lost[sourced_id]
