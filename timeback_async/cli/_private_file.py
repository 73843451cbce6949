"""A file that a run writes: its owner alone may read it, and it never ends in half a block."""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import RawIOBase
from pathlib import Path
from typing import Self

from ..errors import ConfigError
from ._screen import print_error

__all__ = ["PrivateFile"]


class PrivateFile:
    """A file of blocks. A full disk does not end the run: it is printed once.

    Attributes:
        path: The file.
        is_full: Whether a block could not be written; then nothing more is.
    """

    def __init__(self, path: Path, file: RawIOBase, loss: str) -> None:
        self.path, self._file, self._loss = path, file, loss
        self._size = 0
        self.is_full = False

    @classmethod
    @contextmanager
    def opened(cls, path: Path, loss: str = "") -> Iterator[Self]:
        """Open the file, empty.

        Args:
            path: The file.
            loss: What to add to the message where it cannot be written to its end.

        Raises:
            ConfigError: It cannot be written at all.
        """
        try:
            number = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
        except OSError as error:
            raise ConfigError(f"{path}: {error.strerror}") from None
        with os.fdopen(number, "wb", buffering=0) as file:
            if stat.S_ISREG(os.fstat(number).st_mode):  # it may have been there before
                try:
                    path.chmod(0o600)
                except OSError as error:
                    raise ConfigError(
                        f"{path}: {error.strerror}; it belongs to another user, who could read it"
                    ) from None
                file.truncate()
            yield cls(path, file, loss)

    def write(self, block: bytes) -> None:
        """Write a block as a whole, or nothing of it."""
        rest = block
        try:
            while rest and not self.is_full:
                rest = rest[self._file.write(rest) :]
        except OSError as error:
            self.fail(error)
        self._size += len(block)

    def fail(self, error: OSError) -> None:
        """Print why the file is not whole, and write no more."""
        self.is_full = True
        with suppress(OSError):  # a device has no end to cut off
            self._file.truncate(self._size)
        print_error(f"{self.path}: {error.strerror}{self._loss}")
