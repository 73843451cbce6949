"""What a package says about itself, in manifest.csv.

It is a hint: where it and the data files disagree, the files win.

Source: OneRoster 1.1 and 1.2 CSV bindings (manifest.csv).
"""

import re

from .files import DataFile
from .tables import Broken, Table

__all__ = ["Manifest"]


class Manifest:
    """The properties of a package.

    Attributes:
        version: "1.1", "1.2" or what else is written there; "" where nothing is.
    """

    def __init__(self, file: DataFile, encoding: str | None) -> None:
        self._properties: dict[str, str] = {}
        for row in Table(file, encoding).lines():
            if not isinstance(row.cells, Broken) and len(row.cells) >= 2 and not any(row.cells[2:]):
                name, value = (cell.strip() for cell in row.cells[:2])
                self._properties[name.lower()] = value
        version = self._properties.get("oneroster.version", "")
        self.version = version if re.fullmatch(r"[\d.]{1,9}", version) else ""

    def mode(self, target: str) -> str:
        """Return "bulk", "delta", "absent" or "", where it says nothing that is known."""
        value = self._properties.get(f"file.{target}", "").lower()
        return value if value in ("bulk", "delta", "absent") else ""

    @property
    def is_known(self) -> bool:
        """Whether its version is one that is read by the book. Excel makes 1.2 of 1.20."""
        return self.version.startswith(("1.1", "1.2"))
