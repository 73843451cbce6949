"""Compare a roster with what earlier runs wrote, and plan what to send.

A record is never removed only because it is absent, unless the caller asks for that. Even then its
file has to be a full set, and the number of removals is limited.
"""

from collections import Counter
from collections.abc import Iterator
from functools import lru_cache

from msgspec import structs

from ...errors import SessionError
from .._reading.database import writing
from .._reading.gaps import Gaps
from .._reading.records import LinkRow
from .._reading.roster import BORROWING, Roster, Source
from .entry import Entry, Group
from .new_ids import NewIds
from .plan import Plan, PlanRefusedError
from .references import link_id, people_of
from .removals import Removals
from .state import State
from .tables import Action, NewRow, Phase

__all__ = ["plan"]

ROWS_IN_MEMORY = 512  # before they are written
MOST_KNOWN_GAPS = 1000


def plan(
    roster: Roster,
    state: State,
    *,
    deactivate_absent: bool = False,
    unlink_absent: bool = False,
    max_removals: int | str = "5%",
    allow_new_ids: bool = False,
    resend: bool = False,
) -> Plan:
    """Compare a roster with the state, record by record, and return what to send.

    It blocks: from an event loop, `await asyncio.to_thread(plan, roster, state)`.

    Args:
        roster: What is in the files.
        state: What earlier runs wrote.
        deactivate_absent: Deactivate people whom earlier runs wrote from a full file and who are
            no longer in it.
        unlink_absent: Delete links in the same way.
        max_removals: The most people, and the most links, to remove because they are absent: a
            number, or a share of the held ones, such as "5%". Records that a file itself marks
            as deleted do not count.
        allow_new_ids: Send a full set though most of the people known are absent from it and
            most of those in it are new, as when ids have lost their leading zeros.
        resend: Send records that the state calls saved, too; for a TimeBack that was restored
            from a backup.

    Raises:
        PlanRefusedError: More records would be removed than `max_removals` allows, or the ids seem
            to have changed; its `plan` is there to look at.
        ConfigError: `max_removals` is not a number or a share, or the disk is full.
        SessionError: The roster has been planned before; or not all of it was read, and `resend`
            is asked for or the state is not the one, or no longer as it was.
    """
    removals = Removals(max_removals)
    night = roster.night
    if night is not None and night.changed is not None and (resend or not night.is_of(state)):
        raise SessionError(
            "the roster was read as far as it differs from what a state knew; read it again with "
            f"{'since=None to resend it' if resend else 'this state as it is now'}"
        )
    roster.begin_planning()
    with writing(), roster.database.lock, state.lock:
        state.settle()
        planner = _Planner(Plan(roster, state), removals, deactivate_absent, unlink_absent, resend)
        planner.compare()
        planner.judge_absence()
        found = planner.plan
        changed_ids = planner.changed_ids()  # it also reports single ids of another form
        if not allow_new_ids:
            found.refusal = changed_ids
        if not found.refusal:
            found.refusal = removals.refusal(roster, state, is_known=planner.known > 0)
    if found.refusal:
        raise PlanRefusedError(found)
    return found


class _Planner:
    """Fills a plan.

    Attributes:
        known: How many records of the files the state knows.
    """

    def __init__(
        self,
        empty: Plan,
        removals: Removals,
        deactivate_absent: bool,
        unlink_absent: bool,
        resend: bool,
    ) -> None:
        self._removals, self._resend = removals, resend
        self.plan = empty
        self._roster, self._state, self._tables = empty.roster, empty.state, empty.tables
        self._database = empty.roster.database
        self._report = empty.roster.findings.add
        self._is_removable = {
            "student": deactivate_absent, "user": deactivate_absent, "agent": unlink_absent
        }  # fmt: skip
        self._may_have_births = bool(self._state.meta("births")) or any(
            source.is_delta for source in self._roster.sources.values()
        )
        self._is_blank = empty.state.is_blank()
        has_records = empty.state.has_records()
        self._lookup = empty.state.lookup if has_records else lambda key: None
        # Nothing is known, and only a delta asks what is planned already, or leaves anything open.
        self._is_all_new = not has_records and all(
            source.mode != "delta" for source in self._roster.sources.values()
        )
        self._to_look_up = lru_cache(MOST_KNOWN_GAPS)(self._gaps_to_look_up)
        self._night = empty.roster.night
        self.known = self.plan.unchanged = self._night.still.total() if self._night else 0
        self._absent: Counter[Group] = Counter()
        self._by_name = {
            source.name: (file, source) for file, source in self._roster.sources.items()
        }
        self._present: list[tuple[str, str, bool]] = []
        self._changes: list[NewRow] = []
        self._absent_keys: list[str] = []

    # -- what is in the files

    def compare(self) -> None:
        """Plan what is new or has changed."""
        # Row by row, it costs five times as much to plan all of a first night.
        if self._is_all_new:
            self._tables.add_everything(self._state.keys.id_of, self._to_look_up)
            self.plan.counts = self._tables.counts()
            return
        self._compare_people()
        self._compare_links()
        self._compare_unresolved()
        self._flush()

    def _compare_people(self) -> None:
        id_of, hash_of = self._state.keys.id_of, self._state.keys.hash_of
        sources = self._roster.sources
        for sourced_id, rowid, kind, status, file, line, body, gaps in self._database.people():
            key = id_of(sourced_id)
            self._note_present(key, sourced_id, is_left_out=body is None)
            if body is None:
                continue
            digest = hash_of(gaps + body)
            source = sources[file]
            action = self._action(key, source.name, digest, status)
            if action is not None:
                phase: Phase = "deactivations" if action == "deactivate" else "people"
                if gaps:
                    gaps = self._to_look_up(gaps, action == "create" and not source.is_delta)
                self._add(
                    (
                        phase, action, kind, key, source.name, rowid, "", "", "", "", digest, gaps,
                        file, line,
                    )
                )  # fmt: skip

    def _note_present(self, key: str, sourced_id: str = "", *, is_left_out: bool = False) -> None:
        self._present.append((key, sourced_id, is_left_out))
        if len(self._present) + len(self._changes) > ROWS_IN_MEMORY:
            self._flush()

    def _gaps_to_look_up(self, text: bytes, is_new: bool) -> bytes:
        """Return the gaps that TimeBack may fill; it has nothing about a new person."""
        gaps = Gaps.from_json(text)
        if gaps.from_failure:
            return text
        if is_new and not gaps.roles:
            return b""
        return text if self._may_have_births else structs.replace(gaps, birth=False).as_json()

    def _compare_links(self) -> None:
        for link in self._database.links():
            self._compare_link(link)

    def _compare_link(self, link: LinkRow) -> None:
        student, user, agent_id, relation, file, line, gaps = link
        key = self._state.keys.id_of(link_id(student, user, agent_id))
        self._note_present(key)
        if gaps and not relation:  # it is hashed when it is known; one that was saved stays
            digest = (self._lookup(key) or (None,))[0] or b""
        else:
            digest = self._state.keys.hash_of(relation.encode())
        source = self._roster.sources[file].name
        action = self._action(key, source, digest, "")
        if action is not None:
            self._add(
                (
                    "links", "link" if action == "create" else "relink", "agent", key, source,
                    None, student, user, agent_id, relation, digest, gaps, file, line,
                )
            )  # fmt: skip

    def _compare_unresolved(self) -> None:
        """Keep links that a file names without saying enough; plan those TimeBack completes."""
        # Of the references that a delta leaves open:
        #   another one of the same people was planned   -> nothing
        #   the link was saved                           -> it is compared as any other
        #   the state knows everybody who is in no file  -> the same: they will be looked up
        #   it does not                                  -> agent-unknown
        id_of = self._state.keys.id_of
        for ref in self._database.unresolved():
            keys = [id_of(link_id(*pair)) for pair in (ref[:2], ref[1::-1])]
            if ref.gaps:
                self._flush()
            is_planned = ref.gaps and any(self._tables.present(key) for key in keys)
            for key in keys:
                self._note_present(key)
            if not ref.gaps:
                continue
            student, unknown = people_of(ref, self._state, is_blank=self._is_blank)
            known = [self._lookup(key) for key in keys]
            if unknown and not any(found and found[1] == "saved" for found in known):
                self._report("agent-unknown", ref.file, ref.line, "agentSourcedIds", unknown)
            elif student and not is_planned:
                user = ref.agent if student == ref.person else ref.person
                row = (student, user, "", ref.relation, ref.file, ref.line, ref.gaps)
                self._compare_link(row)

    def _action(self, key: str, source: str, digest: bytes, status: str) -> Action | None:
        """Return what to do with a record of the files, or None if there is nothing to do."""
        # Four cases:
        #   the server has just this         -> nothing, unless everything is sent again
        #   the file says it is deleted      -> deactivate
        #   it was never sent                -> create
        #   it was, even without an answer   -> update: it may be there all the same
        known = self._lookup(key)
        before, outcome, old_source = known or (None, "", "")
        self.known += known is not None
        if before == digest and outcome in ("saved", "deactivated") and not self._resend:
            self.plan.unchanged += 1
            if source not in (old_source, *BORROWING):
                self._tables.add_changed_source(source, key)
            return None
        if status == "tobedeleted":
            return "deactivate"
        return "create" if before is None and outcome != "unknown" else "update"

    def _add(self, row: NewRow) -> None:
        phase, action, *_ = row
        self.plan.counts[phase, action] += 1
        self._changes.append(row)

    def _flush(self) -> None:
        self._tables.add_present(self._present)
        self._tables.add_changes(self._changes)
        self._tables.add_absent(self._absent_keys)
        self._absent_keys.clear()
        self._present.clear()
        self._changes.clear()

    # -- what is not

    def judge_absence(self) -> None:
        """Find what earlier runs wrote and the files no longer hold; plan removals if asked to."""
        sources = self._by_name
        is_unreadable = any(source.unreadable for _, source in sources.values())
        self._report_limits()
        for entry in self._entries():
            file, source = sources.get(entry.source, ("", None))
            if source is None or not self._is_absent(entry, source):
                continue
            self._note_absent(entry)
            self.plan.absent[entry.kind] += 1
            self._absent[Group(entry.source, entry.kind)] += 1
            # An absent record is removed, or a finding says why not:
            #   rows without a readable id -> it may be one of those, perhaps in another file
            #   agents that cannot be read -> the link may be one of those
            #   nobody asked for removals  -> it is left alone
            if is_unreadable or (entry.kind == "agent" and source.has_unreadable_agents):
                self._report("absence-doubtful", file)
            elif not self._is_removable[entry.kind]:
                self._report("absent", file, detail=self._named(entry))
            elif entry.kind == "agent":
                self._unlink(entry)
            else:
                self._removals.count["people"] += 1
                self._remove("deactivations", "deactivate", entry)
            if len(self._absent_keys) > ROWS_IN_MEMORY:
                self._flush()
        self._flush()

    def _entries(self) -> Iterator[Entry]:
        """Yield every record that may be absent: those who are still are there, and linked."""
        night = self._night
        if night is None or night.changed is None:
            return self._state.entries()
        return self._state.entries_of(night.changed)

    def _note_absent(self, entry: Entry) -> None:
        """Note that a record is absent; next night, it has to be judged again."""
        self._absent_keys.append(entry.id)
        self._doubt(entry)

    def _doubt(self, entry: Entry) -> None:
        """Note that the people of a record have to be read next night."""
        if self._night is not None:
            people = (entry.student, entry.user) if entry.kind == "agent" else (entry.id,)
            for person in people:
                self._night.doubt(self._state.keys.owner_of_key(person))

    def changed_ids(self) -> str:
        """Return how the ids seem to have changed, so that everybody would be sent anew; or ""."""
        return NewIds(self.plan, self._absent, self._report).refusal(self._by_name)

    def _report_limits(self) -> None:
        """Report what keeps the whole set from being judged."""
        modes = {source.mode for source in self._roster.sources.values()}
        if any(self._is_removable.values()) and "bulk" not in modes:
            self._report("absence-unjudged")
        before = self._state.meta("fingerprint")
        if before not in (None, self._roster.fingerprint) and not modes <= {"bulk"}:
            self._report("options-changed")

    def _is_absent(self, entry: Entry, source: Source) -> bool:
        """Whether the server holds a record that a full file of its source would have to hold."""
        if source.mode != "bulk" or source.is_doubtful or not entry.is_held:
            return False
        if self._tables.present(entry.id) is not None:
            return False
        return entry.kind != "agent" or (source.has_agents and self._is_judgeable(entry))

    def _is_judgeable(self, link: Entry) -> bool:
        """Whether a link can be judged: its student is in the files, and neither row is left out.

        The links of a student who is absent stay with the student.
        """
        student, user = self._tables.present(link.student), self._tables.present(link.user)
        if student is None:
            return False
        is_left_out = student.is_left_out or (user is not None and user.is_left_out)
        if is_left_out:  # it is judged as soon as both rows can be read
            self._doubt(link)
        return not is_left_out

    def _named(self, entry: Entry) -> str:
        """Return the kind of what is absent; of a person, also the id as the state keeps it."""
        if entry.kind == "agent":
            return entry.kind
        return f"{entry.kind} {'hashed id ' if self._state.ids == 'hashed' else ''}{entry.id}"

    def _unlink(self, entry: Entry) -> None:
        student = self._tables.present(entry.student)
        assert student is not None
        self._removals.count["links"] += 1
        self._remove("unlinks", "unlink", entry, student.id)

    def _remove(self, phase: Phase, action: Action, entry: Entry, student: str = "") -> None:
        self._add(
            (
                phase, action, entry.kind, entry.id, entry.source, None, student, "",
                entry.agent_id, "", b"", b"", "", 0,
            )
        )  # fmt: skip
