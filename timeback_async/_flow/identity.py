"""Decide whether a 2xx answer is the answer to our request, by the record that it names.

Bytes left on a kept connection are read as the answer to the next request, and all later answers
are shifted by one. But a server may also answer with an id of its own choice. An answer on a second
connection tells the two apart.
"""

from .call import Call

__all__ = ["Identities"]

# After so many records for which a second answer named the same other id, one answer is enough.
CONFIRMATIONS = 3
# How many recent answers are remembered at least: a shifted one names a record of a moment ago.
REMEMBERED = 4096


class Identities:
    """Knows the records of recent answers, and whether the server chooses ids of its own."""

    def __init__(self) -> None:
        self._confirmed = 0
        # The ids in recent answers, each with the id that was sent; and those before them.
        self._recent: dict[str, str] = {}
        self._earlier: dict[str, str] = {}

    def is_ours(self, call: Call, found: str) -> bool:
        """Return whether the answer to a call may be believed; if not, the call is to be repeated.

        The cases, in the order of the code:
        - the same id, or one that differs only in upper and lower case
        - a second answer names the same other id: the server has chosen it
        - another id, and the server is not known to choose ids, or it belongs to another record

        Args:
            call: The call. Its `other_id` is the other id that the answer before has named.
            found: The id in the answer.
        """
        wanted, recent = call.request.sourced_id, self._recent
        if found != wanted and found.casefold() != wanted.casefold():
            if found == call.other_id:
                self._confirmed += 1
            elif self._confirmed < CONFIRMATIONS or self._is_of_another(found, wanted):
                call.other_id = found
                return False
            recent[wanted] = wanted
        recent[found] = wanted
        if len(recent) > REMEMBERED:
            self._recent, self._earlier = {}, recent
        return True

    def _is_of_another(self, found: str, wanted: str) -> bool:
        return any(ids.get(found, wanted) != wanted for ids in (self._recent, self._earlier))
