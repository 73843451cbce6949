"""Compare TimeBack with a roster: everybody it lists, whoever is missing there, and the links.

Source: OneRoster 1.2 REST binding: a list may leave out who is deleted, and it moves while others
write to it. So nobody is called missing before TimeBack has been asked for that person alone.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine, Generator, Sequence
from contextlib import suppress
from typing import Any

from msgspec.structs import replace

from ..._bulk.run import Bulk
from ..._bulk.source import aclose_generator
from ..._results import ItemResult, Outcome
from ..._session import TimebackSession, everybody
from ..._statistics import Statistics
from ..._wire.pages import MAX_PAGE, Progress
from ...errors import ConfigError, NotFoundError, RecordError, SessionError, TimebackError
from ...models import AgentLink, AgentRecord, Student, User, UserRecord
from ...models.received import Reference
from .._planning.entry import Entry
from .._planning.plan import Change
from .._reading.database import writing
from .._reading.gaps import Fragment, Gaps, Roleless
from .._reading.records import LinkRow
from .._reading.roster import Roster
from .._reading.terms import learns
from .._running.filling import filled
from .difference import Difference, What
from .differing import differing, differing_link, is_chosen, matched
from .tables import Person, VerifyTables
from .verify_report import MAX_KEPT_DIFFERENCES, VerifyReport

__all__ = ["Verification", "verify"]

log = logging.getLogger("timeback_async.sync")

DELETED = "tobedeleted"
OTHER_ID = "agentId: is another one at TimeBack; unlink the two there, and upsert the link anew"
NOT_LOOKED_FOR = "Who is only at TimeBack was not looked for"
# Called with each difference, and with what `upsert` would send to mend it, if there is anything.
OnDifference = Callable[[Difference, Change | None], None]
# Called with "people" or "links" for each person, and for each student whose links were read.
OnCompared = Callable[[str], None]


class Verification:
    """A comparison that is being made: `await` it, once, for its `VerifyReport`.

    Attributes:
        report: The results so far.
        error: What ended it early, or None.
    """

    def __init__(
        self,
        session: TimebackSession,
        roster: Roster,
        *,
        one_way: bool,
        sample: int | None,
        dry_run: bool,
        on_difference: OnDifference | None,
        on_compared: OnCompared | None,
    ) -> None:
        if sample is not None and (type(sample) is not int or sample < 1):
            raise ConfigError("sample: must be a whole number, 1 or more")
        night = roster.night
        if night is not None and night.changed is not None:
            raise SessionError(
                "the roster was read as far as it differs from what a state knew; read it again "
                "with since=None to compare all of it"
            )
        self._session, self._roster = session, roster
        self._sample, self._dry_run = sample, dry_run
        self._on_difference, self._on_compared = on_difference, on_compared or _ignored
        self._tables: VerifyTables
        self._listing: asyncio.Task[None] | None = None
        self._bulk: Bulk | None = None
        self._is_used = self._is_stopped = self._has_aliases = False
        self._unclear: list[ItemResult] | None = None if sample is None else []
        self.error: TimebackError | None = None
        reason = "" if one_way else _why_not_judged(roster)
        # Nobody else is listed where only some are looked up; their links are read all the same.
        self._judges_links = not one_way and not reason and _has_all_links(roster)
        self._judges_people = not one_way and not reason and sample is None
        if sample is not None and not one_way:
            reason = reason or f"{NOT_LOOKED_FOR}: this is a sample"
        endpoint = "" if dry_run else session.config.base_url
        self.report = VerifyReport.of(roster, not_judged=reason, dry_run=dry_run, endpoint=endpoint)

    def stop(self) -> None:
        """Ask TimeBack nothing more; what was compared until now is in the report."""
        self._is_stopped = True
        self.report.stopped = self.report.stopped or "interrupted"
        if self._listing is not None:
            self._listing.cancel()
        if self._bulk is not None:
            self._bulk.stop("interrupted")

    def __await__(self) -> Generator[Any, None, VerifyReport]:
        return self._run().__await__()

    async def _run(self) -> VerifyReport:
        if self._is_used:
            raise SessionError("a comparison can be awaited once; create a new one")
        self._is_used = True
        before = self._session.statistics()
        try:
            await asyncio.to_thread(self.prepare)
            if not self._dry_run:
                await self._compare()
        except TimebackError as error:
            log.warning("stopped: %s", error)
            self.error = error
            self.report.stopped = str(error)
        except BaseException:
            self.report.stopped = self.report.stopped or "cancelled"
            raise
        finally:
            self.report.elapsed = time.monotonic() - self._roster.started
            with suppress(SessionError):  # it was closed meanwhile; the results still count
                self._add_up(before, self._session.statistics())
        log.info("%s in %.1f s", self.report, self.report.elapsed)
        return self.report

    def prepare(self) -> dict[str, int]:
        """Count what there is to ask for, and return the `planned` of the report; it blocks.

        Awaiting the comparison does it otherwise.
        """
        if self.report.planned:
            return self.report.planned
        with writing(), self._roster.database.lock:
            self._tables = tables = VerifyTables(self._roster.database)
            if self._sample is None:
                pages, looked_up = -(-tables.number_of_people() // MAX_PAGE) or 1, 0
            else:
                tables.want_some(self._sample)
                pages, looked_up = 0, tables.number_wanted()
            students = tables.ask_students(
                all_of_them=self._judges_links, only_wanted=self._sample is not None
            )
        self.report.planned = {"pages": pages, "people": looked_up, "students": students}
        self.report.sample = 0 if self._sample is None else looked_up
        return self.report.planned

    async def _compare(self) -> None:
        session, tables = self._session, self._tables
        with writing():
            if self._sample is None and not self._is_stopped:
                await self._unless_stopped(self._compare_listed())
                await asyncio.to_thread(tables.want_unseen)
            lookups = session.get_many_users(tables.wanted())
            await self._read(lookups, self._take_person, "people")
            if not self._is_stopped:
                await self._report_strangers()
            agents = session.get_many_user_agents(tables.asked())
            await self._read(agents, self._take_links, "links")
            await self._clear_up()

    async def _unless_stopped(self, work: Coroutine[Any, Any, None]) -> None:
        """Do some work, which `stop` ends at once."""
        own = asyncio.current_task()
        assert own is not None
        self._listing = asyncio.create_task(work)
        try:
            await self._listing
        except asyncio.CancelledError:
            if own.cancelling():  # it is this task that was cancelled
                raise

    def _add_up(self, before: Statistics, after: Statistics) -> None:
        report = self.report
        report.requests = after.attempts - before.attempts
        report.retries = after.retries - before.retries
        report.throttled = after.throttled - before.throttled
        report.token_requests = after.token_requests - before.token_requests

    async def _read(
        self, bulk: Bulk, take: Callable[[ItemResult], None], what: str | None = None
    ) -> None:
        """Take what a bulk run reads, and tell what each result is of."""
        self._bulk = bulk
        if self._is_stopped:
            bulk.stop("interrupted")
        async with bulk as results:
            async for result in results:
                if result.outcome is not Outcome.NOT_SENT:  # of whom nothing was asked
                    take(result)
                    if what is not None:
                        self._on_compared(what)

    # -- people

    async def _compare_listed(self) -> None:
        progress = Progress(MAX_PAGE)
        people = everybody(self._session, progress)
        page: list[UserRecord] = []
        try:
            async for person in people:
                page.append(person)
                if len(page) == MAX_PAGE:
                    self._take_page(page)
                    page.clear()
            self._take_page(page)
        finally:
            await aclose_generator(people)
        if progress.missing and self._judges_people:
            self._add_unknown(f"TimeBack counts {progress.missing:,} people more than it lists")

    def _take_page(self, page: Sequence[UserRecord]) -> None:
        known = self._tables.people_among(person.sourced_id for person in page)
        strangers = []
        for person in page:
            own = known.get(person.sourced_id)
            if not person.sourced_id and self._judges_people:
                self._add_unknown("sourcedId: has an unknown form")
            elif own is None:
                if self._judges_people and person.status != DELETED:
                    strangers.append((person.sourced_id, self._kind(person)))
            elif own.body is not None and not own.is_seen:
                known[own.id] = own._replace(is_seen=True)  # a list that moves may repeat somebody
                self._judge(own, person)
                self._on_compared("people")
        self._tables.add_seen(known.values())
        self._tables.add_strangers(strangers)

    def _take_person(self, result: ItemResult) -> None:
        """Take somebody whom TimeBack was asked for alone."""
        # Of whom it was asked for:
        #   it has that person, under whatever id          -> compare
        #   it does not, and the files delete that person  -> that is what they want
        #   it does not                                    -> missing
        #   it could not be asked                          -> unknown
        own = self._tables.people_among([result.sourced_id])[result.sourced_id]
        if result.ok:
            self._take_alias(result)
            self._judge(own, result.value)
        elif not isinstance(result.error, NotFoundError):
            self._add(self._of(own, "unknown", reason=str(result.error)))
        elif own.status == DELETED:
            self.report.people.same += 1
        else:
            self._add(self._of(own, "missing"), own)

    def _take_alias(self, result: ItemResult) -> None:
        """Note under which id TimeBack has somebody, if it is another one."""
        if result.ok and result.value.sourced_id not in ("", result.sourced_id):
            self._has_aliases = True
            self._tables.add_alias(result.value.sourced_id, result.sourced_id)

    def _judge(self, own: Person, known: UserRecord) -> None:
        """Compare a person of the files with the same one at TimeBack."""
        fields, reason = tuple[str, ...](), ""
        try:
            fields = self._differing(own, known)
        except RecordError as error:  # what the files say cannot become what TimeBack has
            fields, reason = (error.field,), str(error)
        if fields:
            self._add(self._of(own, "different", fields, reason), own)
        else:
            self.report.people.same += 1

    def _differing(self, own: Person, known: UserRecord) -> tuple[str, ...]:
        # Of a person whom the files delete, nothing but that matters. Where they leave something
        # open that TimeBack knows, a sync would send both together.
        if own.status == DELETED:
            return () if known.status == DELETED else ("status",)
        change = self._change(own)
        record, gaps = change.record, change.gaps
        if gaps.org or gaps.roles or gaps.rest:
            assert isinstance(record, Student | User | Roleless | Fragment)
            record = filled(record, known, gaps, self._roster.today)
        assert isinstance(record, Student | User)
        return differing(record, known, self._roster.today)

    def _change(self, own: Person) -> Change:
        """Return what is sent to bring a person to TimeBack."""
        source = self._roster.sources[own.file].name
        entry = Entry(own.id, own.kind, None, "", None, 0, 0.0, source)
        gaps = Gaps.from_json(own.gaps)
        return Change(
            "people", "update", own.kind, own.id, own.body, own.file, own.line, entry, gaps
        )

    def _add_unknown(self, reason: str) -> None:
        """Add people of whom nobody knows whether they are in the files."""
        self.report.nameless += 1
        self._add(Difference(what="unknown", kind="person", sourced_id="", reason=reason))

    def _of(
        self, own: Person, what: What, fields: tuple[str, ...] = (), reason: str = ""
    ) -> Difference:
        return Difference(
            what=what, kind=own.kind, sourced_id=own.id, fields=fields, file=own.file,
            line=own.line, reason=reason,
        )  # fmt: skip

    async def _report_strangers(self) -> None:
        for some in self._tables.strangers():
            for sourced_id, kind in some:
                self._add(Difference(what="only_there", kind=kind, sourced_id=sourced_id))
            await asyncio.sleep(0)

    def _kind(self, person: UserRecord) -> str:
        with suppress(RecordError):
            return "student" if learns(person, self._roster.today) else "user"
        return "user"  # whose roles have an unknown form: the word that fits everybody

    # -- links

    def _take_links(self, result: ItemResult) -> None:
        """Take the links of one student."""
        student, links = result.sourced_id, self._tables.links_of(result.sourced_id)
        found: list[AgentRecord] = []
        error = result.error
        if result.ok:
            try:
                for record in result.value:
                    record.check_form("user", "relationshipType", "agentId")
                    found.append(self._own(record))
            except RecordError as odd:
                error = odd
        if error is not None and not isinstance(error, NotFoundError):
            reason = str(error)
            self._add(Difference(what="unknown", kind="agent", sourced_id=student, reason=reason))
            return
        pairs, rest = matched(links, found)
        if self._unclear is not None and rest and any(record is None for _, record in pairs):
            self._unclear.append(result)
            return
        for link, record in pairs:
            fields = () if record is None else differing_link(link, record)
            if record is not None and not fields:
                self.report.links.same += 1
            else:
                self._add_link(link, record, fields)
        for record in rest if self._judges_links else ():
            user = record.user.sourced_id if record.user else ""
            if not self._tables.is_open(student, user):
                stranger = Difference(
                    what="only_there", kind="agent", sourced_id=student, user_id=user,
                    agent_id=record.agent_id or "",
                )  # fmt: skip
                self._add(stranger)

    async def _clear_up(self) -> None:
        """Compare the links of a sample to people who are not in it.

        TimeBack may have them under ids of its own: they are looked up, where that may be so.
        """
        unclear, self._unclear = self._unclear or (), None
        students = (self._tables.links_of(result.sourced_id) for result in unclear)
        users = {link[1] for links in students for link in links}
        await self._read(self._session.get_many_users(sorted(users)), self._take_alias)
        for result in unclear if not self._is_stopped else ():
            self._take_links(result)

    def _own(self, record: AgentRecord) -> AgentRecord:
        """Return a link with the id that the files have for its person."""
        if not self._has_aliases or record.user is None:
            return record
        return replace(record, user=Reference(self._tables.own_id(record.user.sourced_id)))

    def _add_link(self, link: LinkRow, known: AgentRecord | None, fields: tuple[str, ...]) -> None:
        """Add a link that is missing, or differs from the one at TimeBack.

        An id that the files do not choose is the one at TimeBack: under another, what mends the
        link would make a second one.
        """
        student, user, agent_id, relation, file, line, gaps = link
        if known is not None and known.agent_id and not is_chosen(link):
            agent_id = known.agent_id
        content = AgentLink(student, user, relation, agent_id)
        reason = OTHER_ID if "agentId" in fields else ""
        difference = Difference(
            what="missing" if known is None else "different", kind="agent", sourced_id=student,
            user_id=user, agent_id=content.agent_id, fields=fields, file=file, line=line,
            reason=reason,
        )  # fmt: skip
        entry = Entry(student, "agent", None, "", None, 0, 0.0, self._roster.sources[file].name)
        change = Change(
            "links", "relink", "agent", student, content, file, line, entry, Gaps.from_json(gaps)
        )
        self._tell(difference, None if reason else change)

    # -- what was found

    def _add(self, difference: Difference, own: Person | None = None) -> None:
        self._tell(difference, None if own is None else self._change(own))

    def _tell(self, difference: Difference, change: Change | None) -> None:
        report = self.report
        (report.links if difference.kind == "agent" else report.people).count(difference.what)
        if len(report.differences) < MAX_KEPT_DIFFERENCES:
            report.differences.append(difference)
        if self._on_difference is not None:
            self._on_difference(difference, change)


def _ignored(what: str) -> None:
    """Take no notice."""


def _why_not_judged(roster: Roster) -> str:
    """Return why the files cannot tell who is only at TimeBack, in words; "" if they can."""
    for file, source in roster.sources.items():
        if source.mode != "bulk" or source.is_doubtful:
            return f"{NOT_LOOKED_FOR}: {file} may hold changes alone"
        if source.unreadable:
            return f"{NOT_LOOKED_FOR}: rows of {file} have no readable id"
    return ""


def _has_all_links(roster: Roster) -> bool:
    """Whether the files hold all links of their students."""
    sources = list(roster.each_source())
    return any(source.has_agents for source in sources) and not any(
        source.has_unreadable_agents for source in sources
    )


def verify(
    session: TimebackSession,
    roster: Roster,
    *,
    one_way: bool = False,
    sample: int | None = None,
    dry_run: bool = False,
    on_difference: OnDifference | None = None,
    on_compared: OnCompared | None = None,
) -> Verification:
    """Compare what TimeBack has with a roster. `await` the comparison; its `stop()` ends it early.

    Nothing is changed at TimeBack. It takes a request for each 100 people there, one for each
    student whose links are read, and one for each person who is not listed. Memory does not grow
    with the number of people.

    A field that the files leave open is not compared, and neither is one that answers do not show:
    passwords, and mostly birth dates and pronouns. Roles and grades are sets. Rows that are left
    out, and links that only a sync can complete, are not compared.

    Args:
        session: The client, open.
        roster: What is in the files, all of it: read without `since`.
        one_way: Whether to leave alone what is only at TimeBack, such as other schools. Then the
            links of students who have none in the files are not read.
        sample: How many people to compare, chosen at random, with their links; None for all. Who
            is only at TimeBack is not looked for.
        dry_run: Whether to count the requests, and to send none.
        on_difference: Called with each difference, and with the change that mends it; None where
            there is no such change.
        on_compared: Called with "people" for each person that was compared, and with "links" for
            each student whose links were.

    Returns:
        The comparison. An error that ends it early (credentials, a server that stays down, a full
        disk) is its `error` and is not raised.

    Raises:
        ConfigError: `sample` is not a whole number, 1 or more.
        SessionError: Not all of the roster was read.
    """
    return Verification(
        session,
        roster,
        one_way=one_way,
        sample=sample,
        dry_run=dry_run,
        on_difference=on_difference,
        on_compared=on_compared,
    )
