"""Read every user and every link at TimeBack, people first, as records that can be sent back."""

import asyncio
import datetime
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress

from msgspec import UNSET
from msgspec.structs import replace

from ..._bulk.source import aclose_generator
from ..._results import ItemResult
from ..._session import TimebackSession, everybody
from ..._statistics import Statistics
from ..._wire.pages import MAX_PAGE, Progress
from ..._wire.validate import checked
from ...errors import NotFoundError, RecordError, SessionError, TimebackError
from ...models import AgentLink, AgentRecord, Student, User, UserRecord
from .._reading.database import writing
from .._reading.terms import counting, learns
from .._running.filling import as_sent
from .export_report import MAX_KEPT_FAILURES, ExportReport, Unread
from .listed import Listed

__all__ = ["Export", "export"]

Record = Student | User | AgentLink
ONE_ROLE = "roles: of a student, no other role than that at the primary org can be sent back"


class Export:
    """Everything at TimeBack: iterate over it, once.

    Attributes:
        report: What was exported so far.
    """

    def __init__(self, session: TimebackSession) -> None:
        self._session = session
        self._is_used = False
        self._today = datetime.date.today()  # noqa: DTZ011 - the school's own day
        self.report = ExportReport(endpoint=session.config.base_url)

    def __aiter__(self) -> AsyncGenerator[Record, None]:  # noqa: PYI058 - for `aclosing`
        return self._records()

    async def _records(self) -> AsyncGenerator[Record, None]:
        if self._is_used:
            raise SessionError("an export can be iterated over once; create a new one")
        self._is_used = True
        self.report.stopped = "not read to its end"
        report, loop, session = self.report, asyncio.get_running_loop(), self._session
        before, started = session.statistics(), loop.time()
        try:
            with writing(), Listed() as listed:
                for part in (self._people(listed), self._links(listed)):
                    async with aclosing(part):  # of whoever reads no further, nothing goes on
                        async for record in part:
                            yield record
            report.stopped = ""
        except TimebackError as error:
            report.stopped = str(error)
            raise
        finally:
            report.elapsed = loop.time() - started
            with suppress(SessionError):  # it was closed meanwhile; the records still count
                self._add_up(before, session.statistics())

    def _add_up(self, before: Statistics, after: Statistics) -> None:
        report = self.report
        report.requests = after.attempts - before.attempts
        report.retries = after.retries - before.retries
        report.throttled = after.throttled - before.throttled
        report.token_requests = after.token_requests - before.token_requests

    async def _people(self, listed: Listed) -> AsyncGenerator[Record, None]:
        progress = Progress(MAX_PAGE)
        people = everybody(self._session, progress)
        try:
            async for person in people:
                found = self._learns(person)
                if not person.sourced_id:
                    self._fail("student" if found else "user", "", "sourcedId: has an unknown form")
                    continue
                if not listed.is_new(person.sourced_id, may_learn=found is not False):
                    continue  # a list that moves while it is read may repeat somebody
                is_student = bool(found)
                try:
                    record = _sendable(person, is_student=is_student)
                except RecordError as error:
                    self._fail("student" if is_student else "user", person.sourced_id, error)
                    continue
                self.report.students += is_student
                self.report.users += not is_student
                if is_student and _has_other_roles(person, self._today):
                    self._fail("student", person.sourced_id, ONE_ROLE)
                yield record
        finally:
            await aclose_generator(people)
        if progress.missing:
            self._fail("user", "", "TimeBack counts more people than it lists", progress.missing)

    def _learns(self, person: UserRecord) -> bool | None:
        """Whether somebody is a student; None if the roles have an unknown form."""
        with suppress(RecordError):
            return learns(person, self._today)
        return None

    async def _links(self, listed: Listed) -> AsyncGenerator[Record, None]:
        async with self._session.get_many_user_agents(listed.students()) as results:
            async for result in results:
                known: dict[str, AgentLink] = {}
                for record in await self._agents(result):
                    try:
                        link = _sendable_link(result.sourced_id, record)
                    except RecordError as error:
                        self._fail("agent", result.sourced_id, error)
                        continue
                    if known.setdefault(link.agent_id, link) != link:
                        self._fail("agent", result.sourced_id, "agentId: two links have the same")
                self.report.links += len(known)
                for link in known.values():
                    yield link

    async def _agents(self, result: ItemResult) -> list[AgentRecord]:
        """Return the links of one student; none of one who was deleted meanwhile."""
        if result.ok:
            agents: list[AgentRecord] = result.value
            return agents
        error = result.error
        if isinstance(error, NotFoundError):  # of the student, or of a server without such a path
            try:
                await self._session.get_user(result.sourced_id)
            except NotFoundError:
                return []
            except TimebackError as failure:
                error = failure
        self._fail("agent", result.sourced_id, error)
        return []

    def _fail(self, kind: str, sourced_id: str, error: object, number: int = 1) -> None:
        self.report.failed += number
        if len(self.report.failures) < MAX_KEPT_FAILURES:
            self.report.failures.append(Unread(kind, sourced_id, str(error)))


def _sendable(person: UserRecord, *, is_student: bool) -> Student | User:
    """Return a person in the form in which they are sent.

    Without the password: what an answer shows of it may be a mask.

    Raises:
        RecordError: A required value is missing at TimeBack, or a value cannot be sent.
    """
    record = replace(as_sent(person, is_student=is_student), password=UNSET)
    valid: Student | User = checked(record, type(record))[0]
    return valid


def _has_other_roles(person: UserRecord, today: datetime.date) -> bool:
    """Whether a student has roles today that are not those of a student of the primary org."""
    org = person.primary_org and person.primary_org.sourced_id
    return any(
        role.role != "student" or (role.org and role.org.sourced_id) != org
        for role in counting(person.roles or (), today)
    )


def _sendable_link(student: str, record: AgentRecord) -> AgentLink:
    """Return a link of a student in the form in which it is sent.

    Raises:
        RecordError: TimeBack does not say who is linked, or how, or says it in an unknown form.
    """
    record.check_form("user", "relationshipType", "agentId")
    user = record.user.sourced_id if record.user else ""
    link = AgentLink(student, user, record.relationship_type or "", record.agent_id or "")
    valid: AgentLink = checked(link, AgentLink)[0]
    return valid


def export(session: TimebackSession) -> Export:
    """Return every user and every link at TimeBack, as records that `upsert_many` takes.

        async for record in export(session):
            ...

    People come before links. It takes a request for each 100 people, and one for each student.
    Memory does not grow with their number. Passwords are not among the values, and neither is
    anything else that answers do not show, such as birth dates where TimeBack hides them. Whoever
    is added, changed or deleted meanwhile is in it as before or as after. Where others add and
    delete people at the same time, pages may hide somebody; `verify` of the export finds that.

    The `report` of what this returns has the figures, and says which records TimeBack has in a
    form that cannot be sent back, or not in whole. Links of whoever is no student any more are not
    exported.

    Args:
        session: The client, open.

    Raises (from the iteration):
        TimebackError: TimeBack could not be asked; what was exported until then is not whole.
        SessionError: It is iterated over a second time.
    """
    return Export(session)
