"""The work of `export`: read everything at TimeBack, and write it to a file."""

import asyncio
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from .._session import TimebackSession
from ..errors import TimebackError
from ..sync import Export, ExportReport, export
from ._exit import EXIT
from ._options_words import as_flags
from ._progress import Show, working
from ._records_file import Records, RecordsFile, standard_output
from ._screen import MAX_FAILURE_ROWS, err, out, print_error, print_json, print_table, printable
from ._settings import config_from_env
from ._signals import interruptible

__all__ = ["run_export"]


async def run_export(path: Path | None, settings: dict[str, Any], *, as_json: bool) -> int:
    """Read, write and report; return the exit code.

    Raises:
        TimebackError: Nothing was exported.
    """
    task = asyncio.current_task()
    assert task is not None
    error: TimebackError | None = None

    def stop() -> bool:  # reading needs no orderly end
        task.cancel()
        return False

    with ExitStack() as opened:
        over = opened.enter_context(interruptible(stop, err.print))
        config = config_from_env(**settings)
        file: RecordsFile | None = None
        if path is not None:
            file = opened.enter_context(RecordsFile.opened(path))
        records: Records = standard_output() if file is None else file
        # How much there is, nobody knows before the end.
        show = Show.of(json=as_json or file is None, log_format=None)
        async with TimebackSession(config) as session:
            exported = export(session)
            with working("reading TimeBack", show):
                try:
                    await _write(exported, records, file)
                except TimebackError as ended:
                    error = ended
                except asyncio.CancelledError:
                    exported.report.stopped = "interrupted"
        over()
    report = exported.report
    code = _exit_code(report, error)
    if as_json:
        print_json(report.as_dict() | {"error": as_flags(report.stopped), "exit": code})
    elif error is None or report.requests:
        _print(report, file)
    if error is not None:
        print_error(as_flags(str(error)))
    elif out.quiet and code == EXIT.PARTIAL and not as_json:
        print_error(report)
    return code


async def _write(exported: Export, records: Records, file: RecordsFile | None) -> None:
    """Write records as they come. Whatever ends that, those that came are in the file."""
    try:
        async for record in exported:
            records.add(record)
            if file is not None and file.is_full:
                break
    finally:
        records.close()
    if file is None:
        return
    if file.is_full:  # that was said
        exported.report.stopped = "the file could not be written"
    else:
        file.give_name()


def _exit_code(report: ExportReport, error: TimebackError | None) -> int:
    if error is not None:
        return EXIT.PARTIAL if report.requests else EXIT.NOTHING_SENT
    if report.stopped == "interrupted":
        return EXIT.INTERRUPTED
    return EXIT.OK if report.ok else EXIT.PARTIAL


def _print(report: ExportReport, file: RecordsFile | None) -> None:
    """Print what was exported: on stderr where the records went to stdout."""
    if out.quiet:
        return
    console = err if file is None else out
    console.print(f"{report}; {report.requests:,} requests, {report.elapsed:.1f} s", markup=False)
    if report.failures:
        some = report.failures[:MAX_FAILURE_ROWS]
        rows = [(each.kind, printable(each.sourced_id), each.reason) for each in some]
        print_table("Left out, or not whole", ("kind", "id", "reason"), rows, console)
        if report.failed > len(some):
            console.print(f"… and {report.failed - len(some):,} more.")
    if file is None:
        return
    if report.stopped:
        name = printable(str(file.partial))
        console.print(f"{name} holds what was read until then.", markup=False, soft_wrap=True)
    else:
        name = printable(str(file.path))
        console.print(
            f"`timeback-async upsert {name}` sends it back.", markup=False, soft_wrap=True
        )
