import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.command import server

__all__ = ["server"]


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work in an empty folder: commands write where they are."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture(autouse=True)
def own_signals() -> Iterator[None]:
    """Let Ctrl-C interrupt, and give it back: a command that has ended does not care for it.

    Where a shell has started the tests in the background, they would not heed it.
    """
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)
