"""Read manifest.csv: what a package says about itself.

It is a hint: if it and the data files disagree, the files are right.

Source: OneRoster 1.1 and 1.2 CSV bindings (manifest.csv).
"""

import re

from .cells import mended
from .files import DataFile
from .tables import Broken, Table

__all__ = ["Manifest"]


class Manifest:
    """The properties of a package.

    Attributes:
        version: "1.1", "1.2" or another one; "" if there is none.
    """

    def __init__(self, file: DataFile, encoding: str | None) -> None:
        self._properties: dict[str, str] = {}
        for _, cells, _ in Table(file, encoding).rows():
            if not isinstance(cells, Broken) and len(cells) >= 2:
                name, value = (mended(cell)[0] for cell in cells[:2])
                self._properties[name.lower()] = value
        version = self._properties.get("oneroster.version", "")
        self.version = version if re.fullmatch(r"[\d.]{1,9}", version) else ""

    def mode(self, target: str) -> str:
        """Return "bulk", "delta" or "absent"; "" if it says nothing known about a file."""
        value = self._properties.get(f"file.{target}", "").lower()
        return value if value in ("bulk", "delta", "absent") else ""

    @property
    def is_known(self) -> bool:
        """Whether the version is supported. Excel turns 1.20 into 1.2."""
        return self.version.startswith(("1.1", "1.2"))
