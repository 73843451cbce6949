"""Show the header fields of an answer as a mapping, made when somebody looks at them."""

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any

from multidict import CIMultiDict

__all__ = ["Fields"]


class Fields(Mapping[str, str]):
    """Header fields, as in aiohttp: a lookup ignores case, and finds the first of one name."""

    def __init__(self, raw: list[tuple[bytes, bytes]]) -> None:
        self._raw = raw

    @cached_property
    def _fields(self) -> CIMultiDict[str]:
        return CIMultiDict((_text(name), _text(value.rstrip(b" \t"))) for name, value in self._raw)

    def __getitem__(self, name: str) -> str:
        return self._fields[name]

    def get(self, name: str, default: Any = None) -> Any:
        return self._fields.get(name, default)

    def getall(self, name: str, default: Any) -> Any:
        """Return all values of one name, or the default."""
        return self._fields.getall(name, default)

    def __iter__(self) -> Iterator[str]:
        return iter(self._fields)

    def __len__(self) -> int:
        return len(self._fields)


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogateescape")
