"""Find the org of a role: which one is the primary org, and which id TimeBack has for it.

Source: OneRoster 1.1 and 1.2 (orgs.csv: types of orgs); TimeBack onboarding guide.
"""

import re
from collections.abc import Mapping

from ...models import RoleName
from .ids import is_usual, read_id
from .lists import listed
from .options import LoadedOptions
from .reporter import Reporter

__all__ = ["SCHOOL", "Orgs"]

SCHOOL, OTHER_ORG, NOT_IN_FILE = range(3)  # ranks: a lower one is rather the primary org
SITE_TYPES = {"school", "department"}
DISTRICT_TYPES = {"district", "local", "state", "national"}
MAX_LENGTH = 255
_parts = re.compile(r"[._/@-]").split


class Orgs:
    """The orgs of a roster.

    Args:
        options: Maps ids of orgs in the files to ids at TimeBack.
        types: Type of each org in orgs.csv, by id; None if the roster has no such file.
    """

    def __init__(self, options: LoadedOptions, types: Mapping[str, str] | None) -> None:
        self._map, self._default = options.org_map, options.default_org
        self._types = types
        self._alike = set(map(_alike, types or ()))

    def read(self, text: str, field: str, report: Reporter) -> list[str]:
        """Return the orgs in a cell: ids as orgs.csv has them, or one text that is no id.

        Args:
            text: The cell.
            field: Where it stands, for findings.
            report: Takes the findings.
        """
        # A text that orgs.csv or the map knows is an id, whatever it looks like. A list in another
        # form than the standard's is believed where orgs.csv knows what is in it.
        if not text or is_usual(text) or self._is_known(text):
            return [text]
        found, form = listed(text)
        found = [*dict.fromkeys(found)]
        if form and found:
            report(form, field)
        elif not found:
            found = [text]
        for place, org in enumerate(found):
            if not self._is_known(org):
                found[place], code = read_id(org)
                if code == "id-mended":
                    report(code, field)
        is_doubtful = form and self._types is not None and not all(map(self._is_known, found))
        return found if all(found) and not is_doubtful else [text]

    def _is_known(self, org: str) -> bool:
        return org in (self._types or ()) or org in (self._map or ())

    def is_id(self, org: str) -> bool:
        """Whether a text is one id: known, or of the right characters and not like known ones."""
        if self._is_known(org):
            return True
        if _alike(org) in self._alike:
            return False
        parts = _parts(org)
        is_several = len(parts) > 1 and all(map(self._is_known, parts))
        is_one = is_usual(org) is not None and not is_several
        return is_one and len(org) <= MAX_LENGTH

    def is_usable(self, org: str) -> bool:
        """Whether TimeBack has an id of an org, so that somebody there can be sent."""
        return bool(self.mapped(org, "", Reporter(lambda *_: "note")))

    def rank(self, org: str) -> int:
        """Return SCHOOL for a school, more for another org, and most for an unknown org."""
        kind = (self._types or {}).get(org)
        return SCHOOL if kind == "school" else OTHER_ORG if kind is not None else NOT_IN_FILE

    def administrator(self, org: str, report: Reporter) -> RoleName:
        """Return the role that OneRoster 1.1's `administrator` of this org has at TimeBack."""
        kind = (self._types or {}).get(org)
        is_known = self._types is None or kind in DISTRICT_TYPES or kind in SITE_TYPES
        report("role-administrator" if is_known else "administrator-uncertain", "role")
        return "districtAdministrator" if kind in DISTRICT_TYPES else "siteAdministrator"

    def mapped(self, org: str, field: str, report: Reporter) -> str | None:
        """Return TimeBack's id of an org, or None if it has none.

        Args:
            org: Id in the file; "" if the cell is blank.
            field: Where it stands, for findings.
            report: Takes the findings.
        """
        # Five cases, each with its finding:
        #   blank cell        -> `default_org`, or org-missing
        #   there is a map    -> its entry, else `default_org`, or org-unmapped
        #   not an id         -> `default_org`, or org-unreadable: what may be a list is never sent
        #   nearly a known id -> the same: a program has written `1` for `001` of orgs.csv
        #   any other         -> the id as it is; org-unknown if orgs.csv does not list it
        if not org:
            if self._default is None:
                report("org-missing", field)
            return self._default
        if self._map is not None:
            mapped = self._map.get(org, self._default)
            if mapped is None:
                report("org-unmapped", field, org)
            return mapped
        if not self.is_id(org):
            why = "id-damaged" if _alike(org) in self._alike else "org-unreadable"
            report(why if self._default is None else "value-left-out", field)
            return self._default
        if self._types is not None and org not in self._types:
            report("org-unknown", field, org)
        return org


def _alike(org: str) -> str:
    """Return an id without what programs change in ids: leading zeros, and the case of letters."""
    return org.lstrip("0").lower()
