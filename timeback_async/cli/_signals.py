"""React to Ctrl-C, SIGTERM and the loss of the terminal: finish first, then cancel."""

import asyncio
import os
import signal
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

__all__ = ["interruptible", "on_signals", "sigterm_as_ctrl_c"]

AGAIN = {signal.SIGINT: "Ctrl-C again", signal.SIGTERM: "A second SIGTERM"}
if hasattr(signal, "SIGHUP"):  # pragma: no branch - Windows has none
    AGAIN[signal.SIGHUP] = "A second SIGHUP"
DRAIN = 30.0  # s, how long an interrupted run may finish what is in flight


@contextmanager
def interruptible(
    stop: Callable[[], bool], say: Callable[[str], None]
) -> Iterator[Callable[[], None]]:
    """Handle Ctrl-C, SIGTERM and SIGHUP while the block runs.

    The first signal calls `stop`. The second one, or 30 s after the first, cancels this task. The
    block calls what is yielded when its run is over: no later signal can cost the report.

    Args:
        stop: Called once; begins nothing new and lets what is in flight finish. Returns whether
            anything can be in flight.
        say: Prints the one line that explains this to the user.
    """
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None
    drain: list[asyncio.TimerHandle] = []

    def interrupt(number: signal.Signals) -> None:
        if drain:
            task.cancel()
            return
        drain.append(loop.call_later(DRAIN, task.cancel))
        if AGAIN[number].endswith("SIGHUP"):
            _leave_terminal()
        more = f": requests in flight are being finished. {AGAIN[number]} cancels them."
        say(f"Stopping{more if stop() else '.'}")

    def over() -> None:
        on_signals(lambda number: None)
        for timer in drain:
            timer.cancel()

    on_signals(interrupt)
    try:
        yield over
    finally:
        over()
        if not drain:  # after a signal the command is ending anyway, so later ones are ignored
            on_signals(None)


def on_signals(act: Callable[[signal.Signals], None] | None) -> None:
    """Call `act` at Ctrl-C, SIGTERM and SIGHUP; None restores what they did before."""
    loop = asyncio.get_running_loop()
    for number in AGAIN:
        if number is not signal.SIGINT and signal.getsignal(number) is signal.SIG_IGN:
            continue  # as nohup has it
        with suppress(NotImplementedError):  # Windows: Ctrl-C is a KeyboardInterrupt there
            if act is None:
                loop.remove_signal_handler(number)
            else:
                loop.add_signal_handler(number, act, number)


def _leave_terminal() -> None:
    """Write nothing more to a terminal that has gone: each line would be an error."""
    for number in (1, 2):
        if stat.S_ISCHR(os.fstat(number).st_mode):
            os.dup2(os.open(os.devnull, os.O_WRONLY), number)


@contextmanager
def sigterm_as_ctrl_c() -> Iterator[None]:
    """Let SIGTERM raise KeyboardInterrupt while the block, which has no event loop, runs."""

    def interrupt(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
