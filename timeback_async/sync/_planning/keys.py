"""Hash ids and records with a state's own key, without which the hashes mean nothing."""

import hashlib
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

    def hash_of(self, content: bytes) -> bytes:
        """Return the keyed hash of some bytes."""
        return hashlib.blake2b(content, key=self._key, digest_size=16).digest()
