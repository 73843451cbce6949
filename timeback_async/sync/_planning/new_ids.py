"""Notice a full set whose ids have changed: its people would all be created a second time.

Two signs of it, for the people of each file, and for its links:

- Most of the known ones are absent, and most of those in the file are new. At the beginning of a
  school year a school replaces 10 to 25 % of its pupils, or half of them where it has two grades.
- Several of the new ones have the id of an absent one in another form, such as without zeros.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from typing import NamedTuple

from .._reading.roster import Source
from .entry import Group
from .id_forms import change_of_form, other_forms
from .plan import Plan

__all__ = ["NewIds", "is_replaced"]

FEWEST = 10  # absent, and new: a handful of people may well be others
FEWEST_OF_ALL = 5  # where nobody who is known is left
MOST_TIMES_AS_MANY_NEW = 2  # as absent: a school that has only begun to be sent grows by more
MOST_TIMES_AS_MANY_ABSENT = 10  # as new: who left long ago is absent for ever if nobody is removed
FEWEST_TWINS = 3
MOST_TESTED = 5000  # new ids: each has some twenty forms
NOUNS = {"student": "students", "user": "users", "agent": "links"}


class _Twin(NamedTuple):
    """A new id, where it is, and the absent one of which it is another form."""

    new: str
    file: str
    line: int
    absent: str


def is_replaced(held: int, absent: int, new: int) -> bool:
    """Whether most of what was held is absent, and most of what is there is new.

    Args:
        held: Records that the server holds.
        absent: Those of them that are in the files no longer.
        new: Records of the files that were never sent.
    """
    return (
        min(absent, new) >= (FEWEST if absent < held else FEWEST_OF_ALL)
        and absent * 5 > held * 3
        and new * 5 > (new + held - absent) * 3
        and new <= absent * MOST_TIMES_AS_MANY_NEW
        and absent <= new * MOST_TIMES_AS_MANY_ABSENT
    )


class NewIds:
    """Looks for changed ids in a plan whose tables are complete.

    Args:
        plan: The plan.
        absent: How many held records of each group are absent from a full set.
        report: Takes findings.
    """

    def __init__(self, plan: Plan, absent: Counter[Group], report: Callable[..., object]) -> None:
        self._plan, self._absent, self._report = plan, absent, report

    def refusal(self, sources: Mapping[str, tuple[str, Source]]) -> str:
        """Return why the plan must not be carried out, or "".

        Args:
            sources: File and source by the source's name.
        """
        if not self._absent:
            return ""
        held, new = self._plan.state.held_by_source(), self._plan.tables.new()
        refusal = ""
        for group, absent in self._absent.items():
            added = new[group] + (
                new[Group(group.source, "person")] if group.kind != "agent" else 0
            )
            twins = self._twins(group) if added else []
            file = sources[group.source][0]
            noun = NOUNS[group.kind]
            figures = (
                f"{file}: {absent:,} of the {held[group]:,} known {noun} are absent and {added:,} "
                "are new"
            )
            if len(twins) >= FEWEST_TWINS:
                twin = twins[0]
                change = change_of_form(twin.absent, twin.new)
                refusal = refusal or (
                    f"{figures}, and their ids {change}: {twin.new} was {twin.absent}. Nothing was "
                    "sent. Restore the ids in the export, or pass allow_new_ids=True if these are "
                    "other people"
                )
            elif is_replaced(held[group], absent, added):
                refusal = refusal or (
                    f"{figures}: have the ids changed form, for example lost a prefix, or is "
                    f"{self._plan.state.path} the state of another roster? Nothing was sent. Pass "
                    "allow_new_ids=True if these really are others"
                )
            else:
                for twin in twins:
                    detail = f"{twin.new} was {twin.absent}"
                    self._report("id-other-form", twin.file, twin.line, "sourcedId", detail)
        return refusal

    def _twins(self, group: Group) -> list[_Twin]:
        """Return the first new people who are an absent one under another form of the id."""
        found = []
        if group.kind != "agent":
            for sourced_id, file, line in self._plan.tables.new_people(*group, MOST_TESTED):
                for form in other_forms(sourced_id):
                    if self._is_absent(form, group):
                        found.append(_Twin(sourced_id, file, line, form))
                        break
                if len(found) == FEWEST_TWINS:
                    break
        return found

    def _is_absent(self, sourced_id: str, group: Group) -> bool:
        key = self._plan.state.id_of(sourced_id)
        known = self._plan.state.lookup(key)
        is_of_group = known is not None and known[2] == group.source
        return is_of_group and self._plan.tables.is_absent(key)
