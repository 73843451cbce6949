"""Finish a roster once all of its files are read: find duplicates and strays, and make links."""

from .findings import Finding
from .gaps import Gaps
from .records import HinderedReference, LeftOut, RowPlace, UnresolvedReference, chunks
from .roster import RECORDS, ROWS_AT_ONCE, Roster, RosterCount

__all__ = ["LinkBuilder"]

ENDS_WITH_ITS_PEOPLE = "ended"  # hinders a link, but is not wrong


class LinkBuilder:
    """Finishes a roster.

    Args:
        roster: What has been read.
        relationship: Type of the link to an agent who is not parent, guardian or relative; None
            to leave such links out.
    """

    def __init__(self, roster: Roster, relationship: str | None) -> None:
        self._roster, self._relationship = roster, relationship
        self._database, self._report = roster.database, roster.findings.add
        self._dropped = self._repeated = 0
        self._is_name_shared = False

    def finish(self) -> None:
        """Report duplicates and strays, make links of references, and count everything."""
        self._database.index_people()
        self._find_duplicates()
        self._find_strays()
        self._find_same_people()
        self._link()
        students, users, links, left_out = self._database.totals()
        if (night := self._roster.night) is not None:
            if self._is_name_shared:
                night.doubt_people(self._database.sharing())
            night.finish()
            students += night.still["student"]
            users += night.still["user"]
            links += night.still["agent"]
        rows, repeated, left_out = 0, self._repeated, left_out + self._dropped
        for source in self._roster.each_source():
            rows += source.rows
            repeated += source.repeated
            if source.rows:  # a row of another file costs a link, and no person
                left_out += source.unreadable
        self._roster.count = RosterCount(students, users, links, left_out, rows, repeated)

    def _find_duplicates(self) -> None:
        # Of the rows of one sourcedId:
        #   all the same       -> the first counts
        #   different          -> none is sent; one is kept, so that the person is known
        #   none was readable  -> the same, but each has its own finding already
        for repeated in self._database.repeated_ids():
            rows = self._database.rows_of(repeated.id)
            if repeated.is_any_read:
                code = "duplicate-same" if repeated.is_same else "duplicate-different"
                for row in rows[1:] if repeated.is_same else rows:
                    if not repeated.is_same:
                        self._keep_record(row, Finding(code, "error", detail=repeated.id).reason)
                    self._report(code, row.file, row.line, "sourcedId", repeated.id)
            self._database.drop(rows[1:])
            if repeated.is_same:
                self._repeated += len(rows) - 1
            else:
                self._dropped += len(rows) - 1
                self._database.leave_out(repeated.id)

    def _keep_record(self, row: RowPlace, reason: str) -> None:
        """Keep a record of JSON Lines that is left out, so that its file of failures has it."""
        if self._roster.sources[row.file].name == RECORDS and row.body is not None:
            text = b'{"%b":%b}' % (row.kind.encode(), row.body)
            self._database.add_left_out(LeftOut(row.file, row.line, "sourcedId", reason, text))

    def _find_strays(self) -> None:
        for table in ("demographics", "roles"):
            for sourced_id, line in self._database.strays(table):
                self._report(f"{table}-alone", self._roster.files[table], line, "", sourced_id)

    def _find_same_people(self) -> None:
        for field, found in (
            ("username", self._database.shared_usernames()),
            ("userIds", self._database.shared_identities()),
        ):
            for sourced_id, count in found:
                self._is_name_shared = True
                more = f"{sourced_id} and {count - 1} more"
                self._report("same-person", field=field, detail=more)

    def _link(self) -> None:
        """Make links of references, from whichever side they come."""
        for file, line, agent in self._database.contradicting_relations():
            self._report("relation-differs", file, line, "relationshipRole", agent)
        self._database.link(self._relationship)
        for chunk in chunks(self._database.hindered(self._relationship), ROWS_AT_ONCE):
            self._database.add_unresolved(map(self._unresolved, chunk))
            for each in chunk:
                self._report_hindrance(each)
                if self._roster.night is not None:
                    self._roster.night.doubt_people((each.person, each.agent))

    def _is_open(self, reference: HinderedReference) -> bool:
        """Whether a changes-only file names somebody whom it does not hold."""
        is_unknown = reference.why == "agent-unknown"
        return is_unknown and self._roster.sources[reference.file].mode == "delta"

    def _unresolved(self, reference: HinderedReference) -> UnresolvedReference:
        gaps, student = b"", reference.student or ""
        if self._is_open(reference):
            both = reference.person, reference.agent
            people = [each for each in both if not student or each == reference.unknown]
            gaps = Gaps(people=people, relationship=self._relationship or "").as_json()
        return UnresolvedReference(*reference[:4], student, reference.relation, gaps)

    def _report_hindrance(self, reference: HinderedReference) -> None:
        # Two hindrances have no finding here:
        #   the link ends with one of its people
        #   it is open: the state may know who is in no file
        why = reference.why
        if why == ENDS_WITH_ITS_PEOPLE or self._is_open(reference):
            return
        named = {"agent-role": reference.user, "agent-unknown": reference.unknown}
        sourced_id = named.get(why, reference.agent) or ""
        self._report(why, reference.file, reference.line, "agentSourcedIds", sourced_id)
