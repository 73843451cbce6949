"""The work of `upsert`: read as `sync` does, compare with nothing, send everything."""

import logging
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from .._results import ItemResult
from .._session import TimebackSession
from ..sync import Change, ReadOptions
from ._job import Ended, Files, Job, Outputs
from ._run import Run
from ._settings import config_from_env
from ._upsert_batch import read_batch

__all__ = ["Upsert"]

log = logging.getLogger("timeback_async.sync")


class Upsert(Job):
    """One run of `upsert`."""

    def __init__(
        self,
        paths: Sequence[Path],
        options: ReadOptions,
        settings: dict[str, Any],
        outputs: Outputs,
    ) -> None:
        super().__init__(", ".join(path.name for path in paths), outputs)
        self._paths, self._options, self._settings = paths, options, settings
        self.is_resumable = False

    async def carried_out(self, files: Files, over: Callable[[], None]) -> Ended:
        """Read and send; return how that ended."""
        outputs, settings = self.outputs, self._settings
        if outputs.dry_run:  # a dry run needs no credentials
            settings = {"client_id": "dry-run", "client_secret": "dry-run", **settings}
        config = config_from_env(**settings)
        with ExitStack() as opened:
            batch = await read_batch(
                opened, self._paths, self._options, files.findings, outputs.show
            )
            files.write_left_out(batch.left_out())
            report = batch.report(
                endpoint="" if outputs.dry_run else config.base_url, dry_run=outputs.dry_run
            )
            log.info("read %s: %s", report.format, report.read, extra={"fields": report.read})
            began = time.monotonic()

            def take(change: Change, result: ItemResult) -> None:
                files.write(change, result)
                if result.error is None and outputs.dry_run:
                    return  # it is valid
                report.count(change, result, time.monotonic() - began)

            async with TimebackSession(config) as session:
                self.running = run = Run(session, take, report.trace)
                is_whole = outputs.dry_run or not batch.has_gaps
                records = batch.as_read() if is_whole else batch.completed(session)
                sent = await run(
                    records, total=report.planned, show=outputs.show, dry_run=outputs.dry_run
                )
                over()
            if files.failures is not None or files.outcomes is not None:
                for change, result in run.unread(batch.changes(), sent):
                    files.write(change, result)
            report.add_up(sent)
            report.sending, report.elapsed = sent.elapsed, batch.elapsed()
            report.stopped = "interrupted" if run.interrupted else str(run.error or "")
            return Ended(report, None if run.interrupted else run.error)
