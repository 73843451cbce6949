"""Limit how much a plan removes because it is absent from the files."""

import re
from collections import Counter

from ...errors import ConfigError
from .._reading.roster import Roster
from .state import State

__all__ = ["Removals"]

_limit = re.compile(r"(\d+)(%?)").fullmatch


class Removals:
    """Counts removals of people and of links, and says when they are too many.

    Args:
        limit: The most of each: a number, or a share of the held ones, such as "5%".

    Attributes:
        count: Removals of "people" and of "links" so far.

    Raises:
        ConfigError: The limit is not a number or a share.
    """

    def __init__(self, limit: int | str) -> None:
        match = _limit(str(limit))
        if match is None:
            raise ConfigError("max_removals: must be a number, or a share such as 5%")
        self._number, self._is_share = int(match[1]), bool(match[2])
        self.count: Counter[str] = Counter()

    def refusal(self, roster: Roster, state: State, *, is_known: bool) -> str:
        """Return why a plan removes too much, or "".

        Args:
            roster: What is in the files.
            state: What earlier runs wrote.
            is_known: Whether the state knows any record of the roster.
        """
        # Three signs that something else is wrong, the surest one first:
        #   an empty roster, the state of another roster, and a count above the limit
        records = roster.count.students + roster.count.users + roster.count.links
        if self.count and not records:
            return (
                f"{roster.name}: holds no people, so everybody would be removed. Nothing was "
                "sent. Is the export complete?"
            )
        if self.count and not is_known:
            return (
                f"{state.path}: contains none of this roster's people, so everybody in it would "
                "be removed. Nothing was sent. Is it the state of another roster?"
            )
        allowed = self._allowed(state) if self.count else {}
        for what, number in self.count.items():
            if number > allowed[what]:
                return (
                    f"max_removals: {number:,} {what} are no longer in the files and would be "
                    f"removed, but only {int(allowed[what]):,} may be. Nothing was sent. Is "
                    "the export complete?"
                )
        return ""

    def _allowed(self, state: State) -> dict[str, float]:
        if not self._is_share:
            return {"people": self._number, "links": self._number}
        held = state.held()
        people, links = held.get("student", 0) + held.get("user", 0), held.get("agent", 0)
        return {"people": people * self._number / 100, "links": links * self._number / 100}
