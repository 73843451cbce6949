"""Hash ids and records with a state's own key, without which the hashes mean nothing."""

import hashlib
from collections.abc import Iterable
from typing import Literal

__all__ = ["Ids", "Keys"]

Ids = Literal["hashed", "plain"]


class Keys:
    """Turns ids and records into what the state keeps of them.

    Args:
        key: The state's secret, 32 bytes; it shows in no repr.
        ids: Whether ids are kept hashed or in plain text. Records are always hashed.
    """

    def __init__(self, key: bytes, ids: Ids) -> None:
        self._key, self.ids = key, ids

    def id_of(self, sourced_id: str) -> str:
        """Return an id as the state keeps it."""
        if self.ids == "plain":
            return sourced_id
        return self.hash_of(sourced_id.encode(errors="surrogatepass")).hex()

    def owner_of(self, sourced_id: str) -> int:
        """Return a number that stands for a person: the first half of the hashed id."""
        return int.from_bytes(self.hash_of(sourced_id.encode(errors="surrogatepass"))[:8], "big")

    def owner_of_key(self, key: str) -> int:
        """Return the same, of an id as the state keeps it."""
        return self.owner_of(key) if self.ids == "plain" else int(key[:16], 16)

    def hashes_of(self, contents: Iterable[bytes]) -> list[bytes]:
        """Return the keyed hash of each of them."""
        blake2b, key = hashlib.blake2b, self._key
        return [blake2b(each, key=key, digest_size=16).digest() for each in contents]

    def hash_of(self, content: bytes) -> bytes:
        """Return the keyed hash of some bytes."""
        return hashlib.blake2b(content, key=self._key, digest_size=16).digest()
