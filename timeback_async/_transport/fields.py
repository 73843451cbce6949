"""Show the header fields of an answer as a mapping, without building one."""

from collections.abc import Iterator, Mapping

__all__ = ["Fields"]


class Fields(Mapping[str, str]):
    """Header fields as they came; a lookup ignores case, and finds the first of several.

    Most answers are asked for one field or none, so that a search is cheaper than a dictionary.
    """

    __slots__ = ("_raw",)

    def __init__(self, raw: list[tuple[bytes, bytes]]) -> None:
        self._raw = raw

    def __getitem__(self, name: str) -> str:
        wanted = name.lower().encode("utf-8", "surrogateescape")
        for field, value in self._raw:
            if field.lower() == wanted:
                return value.rstrip(b" \t").decode("utf-8", "surrogateescape")
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys(field.decode("latin-1").lower() for field, _ in self._raw))

    def __len__(self) -> int:
        return len(list(iter(self)))
