"""Run a command and end the process: event loop, errors in one line, exit code.

Every command file imports this module, so it imports nothing that `--help` does not need.
"""

import asyncio
import logging
import signal
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from typing import Any, NoReturn, TypeVar

import typer

from ..errors import NotFoundError, TimebackError

__all__ = [
    "EXIT", "ending", "exit_code_of", "exit_with", "exit_with_async", "run_async", "say_in_json",
]  # fmt: skip

T = TypeVar("T")

log = logging.getLogger("timeback_async.sync")


class EXIT:
    """The exit codes of every command."""

    OK = 0
    PARTIAL = 1
    NOTHING_SENT = 2
    INTERRUPTED = 75


def exit_with_async(main: Coroutine[Any, Any, int]) -> NoReturn:
    """Run a coroutine on an event loop, and exit with the code that it returns."""
    exit_with(lambda: run_async(main))


def exit_with(command: Callable[[], int]) -> NoReturn:
    """Run a command, and exit with the code that it returns."""
    raise typer.Exit(command())


@contextmanager
def ending(*, json: bool, is_logged: bool) -> Iterator[None]:
    """Say why the block raised, and exit with the code for that.

    An error of the library is one line on stderr, or in the log; with `json` also one object on
    stdout, with "ok", "error" and "exit". A defect is the object and its traceback.
    """
    try:
        yield
    except (typer.Exit, typer.Abort, OSError):
        raise
    except TimebackError as error:
        code = exit_code_of(error)
        _say(error, code, json=json, is_logged=is_logged)
    except KeyboardInterrupt:
        code = EXIT.INTERRUPTED
        if json:
            say_in_json("interrupted", code)
    except Exception as error:
        if json:  # a usage error, or a defect
            usage: Callable[[], str] | None = getattr(error, "format_message", None)
            words = usage() if usage else f"a defect: {type(error).__name__}"
            say_in_json(words, getattr(error, "exit_code", EXIT.PARTIAL))
        raise
    else:
        return
    raise typer.Exit(code)


def exit_code_of(error: BaseException) -> int:
    """Return the exit code of a command that an error has ended."""
    return EXIT.PARTIAL if isinstance(error, NotFoundError) else EXIT.NOTHING_SENT


def _say(error: TimebackError, code: int, *, json: bool, is_logged: bool) -> None:
    from ._options_words import as_flags
    from ._screen import print_error

    words = as_flags(str(error))
    if json:
        say_in_json(words, code)
    if is_logged:
        fields = {"ok": False, "exit": code, "stopped": words}
        log.error("%s", words, extra={"fields": fields})
    else:
        print_error(words)


def say_in_json(words: str, code: int) -> None:
    """Print the object of a command that came to nothing."""
    from ._screen import print_json

    print_json({"ok": False, "error": words, "stopped": words, "exit": code})


def run_async(main: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine and return its result; on uvloop where it is installed.

    Raises:
        KeyboardInterrupt: Ctrl-C or SIGTERM has cancelled it, and it did not catch that.
    """
    loop_factory: Callable[[], asyncio.AbstractEventLoop] | None = None
    with suppress(ImportError):
        import uvloop

        loop_factory = uvloop.new_event_loop
    with asyncio.Runner(loop_factory=loop_factory) as runner:
        return runner.run(_sigterm_as_ctrl_c(main))


async def _sigterm_as_ctrl_c(main: Coroutine[Any, Any, T]) -> T:
    """Let SIGTERM cancel a coroutine, as Ctrl-C does, unless it handles signals itself."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None
    ended: list[bool] = []

    def end() -> None:
        ended.append(True)
        task.cancel()

    with suppress(NotImplementedError):  # Windows
        loop.add_signal_handler(signal.SIGTERM, end)
    try:
        return await main
    except asyncio.CancelledError:
        if ended:
            raise KeyboardInterrupt from None
        raise
    finally:
        with suppress(NotImplementedError):
            loop.remove_signal_handler(signal.SIGTERM)
