"""Run a command and end the process: event loop, errors in one line, exit code.

Every command file imports this module, so it imports nothing that `--help` does not need.
"""

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, NoReturn, TypeVar

import typer

from ..errors import NotFoundError, TimebackError

__all__ = ["EXIT", "exit_code_of", "exit_with", "exit_with_async", "run_async"]

T = TypeVar("T")


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
    """Run a command, and exit with the code that it returns.

    An error of the library is printed as one line, without a traceback.
    """
    try:
        code = command()
    except TimebackError as error:
        from ._screen import print_error

        print_error(error)
        code = exit_code_of(error)
    except KeyboardInterrupt:
        code = EXIT.INTERRUPTED
    raise typer.Exit(code)


def exit_code_of(error: BaseException) -> int:
    """Return the exit code of a command that an error has ended."""
    return EXIT.PARTIAL if isinstance(error, NotFoundError) else EXIT.NOTHING_SENT


def run_async(main: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine and return its result; on uvloop where it is installed."""
    loop_factory: Callable[[], asyncio.AbstractEventLoop] | None = None
    with suppress(ImportError):
        import uvloop

        loop_factory = uvloop.new_event_loop
    with asyncio.Runner(loop_factory=loop_factory) as runner:
        return runner.run(main)
