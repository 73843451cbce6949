"""The work of `unlink`: delete links, and report."""

import asyncio
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from .._bulk.ledger import Ledger
from .._bulk.run import Bulk
from .._results import ItemResult, Outcome
from .._session import TimebackSession
from ..errors import NotFoundError, TimebackError
from ..sync._running.gone import gone_links
from ._exit import EXIT, say_in_json
from ._link_keys import Entry, Place, between, check_file, failure_line, in_file
from ._options_words import as_flags
from ._private_file import PrivateFile
from ._screen import (
    COLOURS,
    MAX_FAILURE_ROWS,
    FailureRow,
    counted,
    err,
    out,
    print_error,
    print_failures,
    print_json,
)
from ._settings import config_from_env
from ._signals import interruptible

__all__ = ["run_unlink"]

LOSS = "; the file does not hold every failure"


async def run_unlink(
    what: str,
    user: str | None,
    settings: dict[str, Any],
    failures: Path | None,
    *,
    dry_run: bool,
    as_json: bool,
) -> int:
    """Find the links, delete them and report; return the exit code.

    Raises:
        TimebackError: Nothing was deleted.
    """
    if dry_run and user is None:  # then nothing is asked, either
        settings = {"client_id": "dry-run", "client_secret": "dry-run", **settings}
    task = asyncio.current_task()
    assert task is not None
    deletion = _Deletion()

    def stop() -> bool:
        has_begun = deletion.stop()
        if not has_begun:
            task.cancel()
        return has_begun

    with ExitStack() as opened:
        over = opened.enter_context(interruptible(stop, err.print))
        try:
            config = config_from_env(**settings)
            if user is None:
                check_file(Path(what))
            if failures is not None:
                deletion.file = opened.enter_context(PrivateFile.opened(failures, LOSS))
            async with TimebackSession(config) as session:
                entries: Callable[[], Iterable[Entry]] = partial(in_file, Path(what))
                if user is not None:
                    found = await between(session, what, user)
                    entries = partial(iter, found)
                await deletion.carry_out(session, entries, dry_run=dry_run)
            over()
        except asyncio.CancelledError:  # interrupted before anything was sent
            if as_json:
                say_in_json("interrupted", EXIT.INTERRUPTED)
            out.print("Interrupted before anything was sent: run the same command again.")
            return EXIT.INTERRUPTED
        code = _exit_code(deletion)
        if as_json:
            print_json(_figures(deletion, code) | {"dry_run": dry_run})
        else:
            _print(deletion, failures, dry_run=dry_run)
        _print_error(deletion, code, as_json=as_json)
    return code


class _Deletion:
    """Deletes links, counts what became of them, and keeps those that were not deleted.

    Attributes:
        file: Takes the failures; None for no file.
        error: What ended it early, or None.
        is_stopped: Whether Ctrl-C or SIGTERM ended it.
        counts: How many links have each outcome.
        requests: How many requests were sent for them.
        rows: The first 20 that were not deleted.
        failed: How many were not, of those that it came to.
        unread: How many it did not come to.
    """

    def __init__(self) -> None:
        self._bulk: Bulk | None = None
        self._unfound: list[tuple[Place, ItemResult]] = []
        self.file: PrivateFile | None = None
        self.error: TimebackError | None = None
        self.is_stopped = False
        self.counts = dict.fromkeys(Outcome, 0)
        self.rows: list[FailureRow] = []
        self.requests = self.failed = self.unread = 0

    @property
    def links(self) -> int:
        """How many links it came to."""
        return sum(self.counts.values())

    def stop(self) -> bool:
        """Begin nothing new; return whether anything has begun."""
        if self._bulk is None:
            return False
        self.is_stopped = True
        self._bulk.stop("interrupted")
        return True

    async def carry_out(
        self, session: TimebackSession, entries: Callable[[], Iterable[Entry]], *, dry_run: bool
    ) -> None:
        """Delete links.

        Args:
            session: The client, open.
            entries: Returns the links, each time it is called.
            dry_run: Whether to check them alone.
        """
        ledger: Ledger[Place] = Ledger(self._take)
        self._bulk = bulk = session.delete_many(ledger.records(entries()), dry_run=dry_run)
        try:
            await ledger.settle(bulk)
            await self._look_for_unfound(session)
        except TimebackError as error:
            self.error = error
        except asyncio.CancelledError:  # a second Ctrl-C; the report shows it
            self.is_stopped = True
        for place, result in self._unfound:
            self._count(place, result)
        self.requests = bulk.report.attempts
        if self.is_stopped or self.error is not None:
            why = self.error or TimebackError("interrupted before its turn")
            for place, _ in islice(entries(), bulk.report.submitted, None):
                self.unread += 1
                self._keep(place, Outcome.NOT_SENT, why)

    def _take(self, place: Place, result: ItemResult) -> None:
        if isinstance(result.error, NotFoundError):
            self._unfound.append((place, result))
        else:
            self._count(place, result)

    async def _look_for_unfound(self, session: TimebackSession) -> None:
        """Find out whether the links that the server has not found are gone."""
        if self._unfound and not self.is_stopped:
            keys = [place.key for place, _ in self._unfound if place.key]
            gone = await gone_links(session, keys, self._is_begun)
            self._unfound = [
                (place, replace(result, outcome=Outcome.DELETED, error=None))
                if place.key in gone
                else (place, result)
                for place, result in self._unfound
            ]

    def _is_begun(self, bulk: Bulk) -> None:
        self._bulk = bulk

    def _count(self, place: Place, result: ItemResult) -> None:
        self.counts[result.outcome] += 1
        if result.error is not None:
            self.failed += 1
            self._keep(place, result.outcome, result.error)

    def _keep(self, place: Place, outcome: Outcome, why: Exception) -> None:
        if len(self.rows) < MAX_FAILURE_ROWS:
            self.rows.append(FailureRow(place.where, "agent", place.who, outcome, str(why)))
        if self.file is not None:
            self.file.write(failure_line(place, outcome, why))


def _exit_code(deletion: _Deletion) -> int:
    if deletion.is_stopped:
        return EXIT.INTERRUPTED
    if deletion.error is not None:
        return EXIT.PARTIAL if deletion.requests else EXIT.NOTHING_SENT
    is_whole = deletion.file is None or not deletion.file.is_full
    return EXIT.OK if deletion.links and not deletion.failed and is_whole else EXIT.PARTIAL


def _figures(deletion: _Deletion, code: int) -> dict[str, Any]:
    return {
        "ok": code == EXIT.OK,
        "links": deletion.links,
        **{outcome.value: number for outcome, number in deletion.counts.items()},
        "not_reached": deletion.unread,
        "requests": deletion.requests,
        "failures": [row.as_dict() for row in deletion.rows],
        "error": "interrupted" if deletion.is_stopped else as_flags(str(deletion.error or "")),
        "exit": code,
    }


def _print_error(deletion: _Deletion, code: int, *, as_json: bool) -> None:
    if deletion.error is not None:
        print_error(as_flags(str(deletion.error)))
    elif out.quiet and code == EXIT.PARTIAL and not as_json:
        print_error(f"{deletion.failed:,} of {counted(deletion.links, 'link')} not deleted")


def _print(deletion: _Deletion, failures: Path | None, *, dry_run: bool) -> None:
    if deletion.error is not None and not deletion.requests:  # the error says it all
        return
    ended = [
        f"[{COLOURS[outcome]}]{number:,} {_words(outcome, dry_run)}[/]"
        for outcome, number in deletion.counts.items()
        if number
    ]
    if deletion.unread:
        ended.append(f"[yellow]{deletion.unread:,} not reached[/]")
    out.print(f"{counted(deletion.links, 'link')}: {', '.join(ended) or 'there is none'}")
    if deletion.rows:
        print_failures(deletion.rows, deletion.failed + deletion.unread - len(deletion.rows))
        if deletion.file is not None and not deletion.file.is_full:
            out.print(f"{failures} holds all of them.", markup=False, soft_wrap=True)
    if dry_run:
        out.print("Dry run: nothing was deleted.")


def _words(outcome: Outcome, dry_run: bool) -> str:
    is_valid = dry_run and outcome is Outcome.NOT_SENT
    return "would be deleted" if is_valid else outcome.value.replace("_", " ")
