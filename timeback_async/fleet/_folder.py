"""The folder of a run: which records there are, what became of them, and what to hold back.

    people-00000.parquet    the outcomes of a finished partition; written whole, or not at all
    _records/…              the ids in each partition, from before anything was sent
    _held/…                 ids that are not sent, and why
    _tries/…                a mark for each time that the sending of a partition began

It may be on any file system or object store that pyarrow knows. Nothing personal but ids is in it.
"""

from typing import Any
from uuid import uuid4

import msgspec
import pyarrow
from pyarrow import feather, fs, parquet

from ..errors import ConfigError
from ._files import located, reason
from ._outcomes import PartitionReport
from ._partition import Contents

__all__ = ["Folder", "Held"]

KEY = b"timeback_async"
PROBE = ".probe"


class Held(msgspec.Struct, frozen=True):
    """What a phase does not send.

    Attributes:
        lost: People who were not saved: their links are not sent.
        waiting: Those of them who are in a partition that is not finished, so that the next call
            may save them.
        unread: Partitions of people that could not be read, or "".
        saved: If there are such partitions, the people who were saved: only their links are sent.
        repeated: Records that are in several partitions, which have no order: their key, with the
            names of those partitions. A person's key is the id, a link's is `link_key`.
    """

    lost: set[str] = set()
    waiting: set[str] = set()
    unread: str = ""
    saved: set[str] = set()
    repeated: dict[str, str] = {}


class Folder:
    """Writes and reads the files of a run.

    Args:
        url: A path, or the URL of an object store.

    Raises:
        ConfigError: There is no such file system.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self._system, self._path = located(url)

    def make(self) -> None:
        """Make the folder, and see whether files can be written there.

        Raises:
            ConfigError: It cannot be made, or not written to.
        """
        try:
            self._system.create_dir(self._path, recursive=True)
            self.write(PROBE, b"")
            self._system.delete_file(f"{self._path}/{PROBE}")
        except (pyarrow.ArrowException, OSError) as error:
            raise ConfigError(f"{self.url}: cannot be made ({reason(error)})") from None

    # -- before anything is sent

    def write_contents(self, name: str, contents: Contents) -> None:
        """Write which records a partition has."""
        sink = pyarrow.BufferOutputStream()
        feather.write_feather(contents.table, sink)
        self.write(f"_records/{name}.arrow", sink.getvalue())

    def contents(self, name: str) -> Any:
        """Return the table of the records in a partition."""
        return feather.read_table(pyarrow.BufferReader(self._read(f"_records/{name}.arrow")))

    def write_held(self, phase: str, held: Held) -> None:
        """Write what a phase does not send."""
        self.write(f"_held/{phase}.json", msgspec.json.encode(held))

    def held(self, phase: str) -> Held:
        """Return what a phase does not send."""
        return msgspec.json.decode(self._read(f"_held/{phase}.json"), type=Held)

    # -- sending

    def begin(self, name: str) -> int:
        """Mark that the sending of a partition begins; return how often it has begun."""
        self.write(f"_tries/{name}/{uuid4().hex}", b"")
        return self.tries(name)

    def tries(self, name: str) -> int:
        """Return how often the sending of a partition has begun."""
        selector = fs.FileSelector(f"{self._path}/_tries/{name}", allow_not_found=True)
        marks = [each for each in self._system.get_file_info(selector) if each.is_file]
        return sum(1 for mark in marks if not mark.base_name.startswith("."))

    def finish(self, report: PartitionReport, outcomes: Any) -> None:
        """Write the outcomes of a partition, whole or not at all."""
        facts = {KEY: msgspec.json.encode(report)}
        sink = pyarrow.BufferOutputStream()
        parquet.write_table(outcomes.replace_schema_metadata(facts), sink)
        self.write(f"{report.name}.parquet", sink.getvalue())

    def finished(self, name: str) -> PartitionReport | None:
        """Return the report of a partition that is finished; None for one that is not."""
        try:
            with self._system.open_input_file(f"{self._path}/{name}.parquet") as file:
                facts = (parquet.read_schema(file).metadata or {}).get(KEY)
        except (FileNotFoundError, pyarrow.ArrowInvalid):  # a crash of the machine may cut a file
            return None
        if facts is None:
            raise ConfigError(
                f"{self.url}: {name}.parquet is not of a fleet; choose another folder"
            )
        return msgspec.json.decode(facts, type=PartitionReport)

    def outcomes(self, name: str) -> Any:
        """Return the outcomes of a finished partition."""
        content = self._read(f"{name}.parquet")
        return parquet.read_table(pyarrow.BufferReader(content)).replace_schema_metadata()

    def _read(self, name: str) -> Any:
        with self._system.open_input_file(f"{self._path}/{name}") as file:
            return file.read()

    def write(self, name: str, content: Any) -> None:
        """Write a file whole, or not at all."""
        folder, _, base = f"{self._path}/{name}".rpartition("/")
        if "/" in name:
            self._system.create_dir(folder, recursive=True)
        temporary = f"{folder}/.{base}.{uuid4().hex}"
        with self._system.open_output_stream(temporary) as file:
            file.write(content)
        self._system.move(temporary, f"{folder}/{base}")
