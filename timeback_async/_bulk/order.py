"""Decide what waits for what in a bulk run, and which links cannot be sent.

Two records with the same key are sent in the order of the source. A link is sent after the people
that it names. It is not sent when one of them was not saved in this run.
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

    def enter(self, item: Item, operation: Operation) -> list[Item]:
        """Add a record; return those read earlier that have to end before it is sent."""
        latest, key, needs = self._latest, operation.key, operation.needs
        earlier = [latest[person] for person in needs if person in latest] if needs else []
        if key is not None:
            if key in latest:
                earlier.append(latest[key])
            latest[key] = item
        return earlier

    def hindrance(self, operation: Operation) -> RecordError | None:
        """Return why a link cannot be sent, when one of its people was not saved in this run."""
        if operation.needs and self._lost:
            for field, person in zip(("studentId", "userId"), operation.needs, strict=True):
                if person in self._lost:
                    return RecordError(field, f"{person!r} was not saved in this run")
        return None

    def end(self, item: Item, kind: str, sourced_id: str, is_ok: bool) -> None:
        """Remove a record that has its result, and remember people who were not saved."""
        operation, latest = item.operation, self._latest
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
