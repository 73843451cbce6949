"""Compare a roster with what earlier runs wrote: what is to be sent, and what never by accident.

Nothing is removed because it is absent, unless that is asked for; and then only where a file is
there as a full set, and no more than a share of what is held.
"""

import re
from collections import Counter
from typing import Any

from msgspec import structs

from ...errors import ConfigError, SessionError
from ...models.ids import agent_id_of
from .._reading.gaps import Gaps
from .._reading.roster import RECORDS, Roster, writing
from .entry import Entry
from .plan import INSERT_CHANGE, SCHEMA, Action, Phase, Plan
from .state import State

__all__ = ["plan"]

BATCH = 256
_removals = re.compile(r"(\d+)(%?)").fullmatch


def plan(
    roster: Roster,
    state: State,
    *,
    deactivate_absent: bool = False,
    unlink_absent: bool = False,
    max_removals: int | str = "5%",
    resend: bool = False,
) -> Plan:
    """Compare a roster with the state, record by record.

    It blocks: from an event loop, `await asyncio.to_thread(plan, roster, state)`.

    Args:
        roster: What is in the files.
        state: What earlier runs wrote.
        deactivate_absent: Deactivate people that earlier runs wrote from a full file which no
            longer has them.
        unlink_absent: Delete links in the same way.
        max_removals: The most people, and the most links, to remove because they are absent: a
            number, or a share of those held, such as "5%". What a file says is to be deleted is
            not counted.
        resend: Send what the state calls saved too, such as to a TimeBack that was restored.

    Raises:
        ConfigError: More would be removed than `max_removals`; or that is no number; or the disk
            is full.
        SessionError: The roster has been planned before.
    """
    allowed = _allowed(max_removals, state.held())
    if roster.is_planned:
        raise SessionError("a roster is planned once; read it anew")
    roster.is_planned = True
    with writing(), roster.lock, state.lock:
        planner = _Planner(Plan(roster, state), deactivate_absent, unlink_absent, resend)
        planner.compare()
        planner.judge_absence()
        planner.check(allowed)
    return planner.plan


class _Planner:
    """Fills a plan."""

    def __init__(
        self, empty: Plan, deactivate_absent: bool, unlink_absent: bool, resend: bool
    ) -> None:
        self._resend = resend
        self.plan = empty
        self._roster, self._state = empty.roster, empty.state
        self._tell = empty.roster.findings.tell
        self._db = empty.roster.db
        self._is_wanted = {
            "student": deactivate_absent, "user": deactivate_absent, "agent": unlink_absent
        }  # fmt: skip
        self._removals: Counter[str] = Counter()
        self._were_births = bool(self._state.meta("births")) or any(
            source.is_delta for source in self._roster.sources.values()
        )
        self._known = 0  # records of the files that the state knows
        self._seen: list[Any] = []
        self._changes: list[Any] = []
        self._db.executescript(SCHEMA)
        self._db.execute("BEGIN")  # which executescript has ended

    # -- what is there

    def compare(self) -> None:
        """Plan what is new or has changed."""
        self._compare_people()
        self._compare_links()
        self._look_at_loose_ends()
        self._flush()

    def _compare_people(self) -> None:
        id_of, hash_of, sources = (
            self._state.keys.id_of,
            self._state.keys.hash_of,
            self._roster.sources,
        )
        query = "SELECT id, kind, status, file, line, body, gaps FROM people ORDER BY rowid"
        for own, kind, status, file, line, body, gaps in self._db.execute(query):
            key = id_of(own)
            self._seen.append((key, own, body is None))
            if len(self._seen) > BATCH:
                self._flush()
            if body is None:
                continue
            digest = hash_of(gaps + body)
            source = sources[file]
            action = self._action(key, source.name, digest, status)
            if action is not None:
                phase: Phase = "deactivations" if action == "deactivate" else "people"
                if gaps:
                    gaps = self._to_look_up(gaps, is_new=action == "create" and not source.is_delta)
                self._add(
                    phase, action, kind, key, body, "", "", "", "", digest, source.name, file, line,
                    gaps,
                )  # fmt: skip

    def _to_look_up(self, text: bytes, is_new: bool) -> bytes:
        """Return the gaps that TimeBack may fill: none of somebody new."""
        gaps = Gaps.from_json(text)
        if is_new and not gaps.roles:
            return b""
        return text if self._were_births else structs.replace(gaps, birth=False).as_json()

    def _compare_links(self) -> None:
        id_of, hash_of, sources = (
            self._state.keys.id_of,
            self._state.keys.hash_of,
            self._roster.sources,
        )
        query = "SELECT student, user, agent_id, relation, file, line FROM links"
        for student, user, agent_id, relation, file, line in self._db.execute(query):
            key = id_of(link_id(student, user, agent_id))
            self._seen.append((key, "", False))
            if len(self._seen) > BATCH:
                self._flush()
            digest = hash_of(relation.encode())
            source = sources[file].name
            action = self._action(key, source, digest, "")
            if action is not None:
                action = "link" if action == "create" else "relink"
                self._add(
                    "links", action, "agent", key, None, student, user, agent_id, relation, digest,
                    source, file, line, b"",
                )  # fmt: skip

    def _look_at_loose_ends(self) -> None:
        """Keep links that a file still names, though it does not say enough to send them."""
        for person, agent, file, line, is_unknown in self._db.execute("SELECT * FROM loose"):
            pairs = ((person, agent), (agent, person))
            keys = [self._state.id_of(link_id(*pair)) for pair in pairs]
            self._seen += [(key, "", False) for key in keys]
            if len(self._seen) > BATCH:
                self._flush()
            if is_unknown and self._roster.sources[file].mode == "delta":
                known = [self._state.lookup(key) for key in keys]
                if not any(found and found[1] == "saved" for found in known):
                    self._tell("agent-unknown", file, line, "agentSourcedIds", agent)

    def _action(self, key: str, source: str, digest: bytes, status: str) -> Action | None:
        """Return what is to be done, or None where the server is known to hold just this."""
        known = self._state.lookup(key)
        before, outcome, old_source = known or (None, "", "")
        self._known += known is not None
        if before == digest and outcome in ("saved", "deactivated") and not self._resend:
            self.plan.unchanged += 1
            if source not in (old_source, RECORDS):
                self._db.execute("INSERT INTO moved VALUES (?,?)", (source, key))
            return None
        if status == "tobedeleted":
            return "deactivate"
        # One that got no answer may be there all the same.
        return "create" if before is None and outcome != "unknown" else "update"

    def _add(self, phase: Phase, action: Action, *rest: Any) -> None:
        self.plan.counts[phase, action] += 1
        self._changes.append((phase, action, *rest))

    def _flush(self) -> None:
        self._db.executemany("INSERT OR IGNORE INTO seen VALUES (?,?,?)", self._seen)
        self._db.executemany(INSERT_CHANGE, self._changes)
        self._seen.clear()
        self._changes.clear()

    # -- what is not there

    def judge_absence(self) -> None:
        """Find what earlier runs wrote and the files no longer hold; plan what is asked for."""
        sources = {source.name: (file, source) for file, source in self._roster.sources.items()}
        is_bulk = all(source.mode == "bulk" for _, source in sources.values())
        unreadable = any(source.unreadable for _, source in sources.values())
        if any(self._is_wanted.values()) and all(s.mode != "bulk" for _, s in sources.values()):
            self._tell("absence-unjudged")
        before = self._state.meta("fingerprint")
        if before not in (None, self._roster.fingerprint) and not is_bulk:
            self._tell("options-changed")
        for entry in self._state.entries():
            file, source = sources.get(entry.source, ("", None))
            if source is None or source.mode != "bulk" or source.is_doubtful or not entry.is_held:
                continue
            if entry.kind == "agent" and not (source.has_agents and self._is_judgeable(entry)):
                continue
            if self._seen_as(entry.id) is not None:
                continue
            self.plan.absent[entry.kind] += 1
            if unreadable:  # who moved from one file to another may be among them
                self._tell("absence-doubtful", file)
            elif not self._is_wanted[entry.kind]:
                self._tell("absent", file, detail=entry.kind)
            elif entry.kind == "agent":
                self._unlink(entry)
            else:
                self._removals["people"] += 1
                self._add(
                    "deactivations", "deactivate", entry.kind, entry.id, None, "", "", "", "", b"",
                    entry.source, "", 0, b"",
                )  # fmt: skip
            if len(self._changes) > BATCH:
                self._flush()
        self._flush()

    def _is_judgeable(self, link: Entry) -> bool:
        """Whether a link that no file names is absent: its student is there, and both are readable.

        The links of a student who is gone go, or stay, with the student.
        """
        student, user = self._seen_as(link.student), self._seen_as(link.user)
        return student is not None and not student[1] and not (user and user[1])

    def _unlink(self, entry: Entry) -> None:
        seen = self._seen_as(entry.student)
        assert seen is not None
        self._removals["links"] += 1
        self._add(
            "unlinks", "unlink", "agent", entry.id, None, seen[0], "", entry.agent_id, "", b"",
            entry.source, "", 0, b"",
        )  # fmt: skip

    def _seen_as(self, key: str) -> tuple[str, int] | None:
        """Return the id under a key, and whether its row is left out; None if it is in no file."""
        query = "SELECT id, is_left_out FROM seen WHERE key = ?"
        found: tuple[str, int] | None = self._db.execute(query, (key,)).fetchone()
        return found

    def check(self, allowed: dict[str, float]) -> None:
        """Refuse a plan that removes too much.

        Raises:
            ConfigError: More would be removed than is allowed.
        """
        if self._removals and not any(self._roster.count):
            raise ConfigError(
                f"{self._roster.name}: holds nobody, so everybody would be removed. Nothing was "
                "sent. Is the export complete?"
            )
        if self._removals and not self._known:
            raise ConfigError(
                f"{self._state.path}: knows nobody of this roster, so nobody can be missing from "
                "it; is it another roster's state? Nothing was sent."
            )
        for what, number in self._removals.items():
            if number > allowed[what]:
                raise ConfigError(
                    f"{number:,} {what} are no longer in the files and would be removed; "
                    f"--max-removals allows {int(allowed[what]):,}. Nothing was sent. Is the "
                    "export complete?"
                )


def link_id(student: str, user: str, agent_id: str = "") -> str:
    """Return what a link is known by: its people, and its own id where it is not derived.

    No id holds a line feed, so no other record is known by the same.
    """
    derived = agent_id in ("", agent_id_of(student, user))
    return f"{student}\n{user}" if derived else f"{student}\n{user}\n{agent_id}"


def _allowed(text: int | str, held: dict[str, int]) -> dict[str, float]:
    """Return how many people and how many links may be removed."""
    match = _removals(str(text))
    if match is None:
        raise ConfigError("--max-removals: must be a number, or a share such as 5%")
    number = int(match[1])
    if not match[2]:
        return {"people": number, "links": number}
    people = held.get("student", 0) + held.get("user", 0)
    return {"people": people * number / 100, "links": held.get("agent", 0) * number / 100}
