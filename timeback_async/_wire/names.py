"""Decide whether a word can be a part of a name that we sent."""

import re
import unicodedata
from collections.abc import Iterable

from .ordinary import AMBIGUOUS, PLAIN

__all__ = ["Names", "fold", "tokens_of"]

MAX_WORD = 48  # letters: what has more is no word but a key, or a hash
PART = 4  # letters from which a part of a name is looked for inside of words, and compared
NEAR = 24  # letters up to which spelling is compared
LETTERS = str.maketrans(
    {
        "ł": "l",
        "ø": "o",
        "đ": "d",
        "ð": "d",
        "þ": "th",
        "æ": "ae",
        "œ": "oe",
        "\u0131": "i",
        "ħ": "h",
    }
)
SPELLED_OUT = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "ø": "oe", "å": "aa"})

# A UUID, letters with their marks, or digits. A UUID is one token, since it contains no words.
_tokens = re.compile(
    r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|(?:[^\W\d_]|[\u0300-\u036f])+|\d+"
).finditer
_latin = re.compile("[a-z]+").findall
_is_title = re.compile("[A-Z][a-z]+").fullmatch


def tokens_of(text: str) -> list[re.Match[str]]:
    """Return the words and the numbers in a text. "ada12" is one of each."""
    return list(_tokens(text))


def fold(word: str) -> str:
    """Return a word in the one form in which words are compared: small letters, no marks."""
    if word.isascii():
        return word.lower()
    plain = unicodedata.normalize("NFKD", word.casefold().translate(LETTERS))
    # M: accents and vowel signs. Lm: letters that modify others, such as the Hawaiian okina.
    return "".join(c for c in plain if unicodedata.category(c) not in ("Mn", "Mc", "Lm"))


class Names:
    """The names in what we sent, by their parts: each word of each value counts as one.

    A word can be a part of a name when
    - it is one, however short, in any case and with or without accents
    - a part with initials, beginnings of parts or ordinary words makes it ("jli", "studentLi")
    - a part of four letters or more is in it ("byronsson"), or within one letter of it, or begins
      with it, as if it was cut off
    - it is too long for a word
    - it is written as names are, with a capital letter: the server may speak of somebody else

    Ordinary words are none of these, except as a part of their own.
    """

    def __init__(self, values: Iterable[str]) -> None:
        words = {token[0] for value in values for token in tokens_of(value)}
        words = {word for word in words if not word.isdecimal() and "-" not in word}
        spelled_out = {word.casefold().translate(SPELLED_OUT) for word in words}
        self.parts = {part for part in map(fold, words | spelled_out) if part}
        self.initials = {part[0] for part in self.parts}
        self._long = {part for part in self.parts - PLAIN - AMBIGUOUS if len(part) >= PART}
        self._beginnings = {
            part[:end] for part in self._long for end in range(3, min(len(part), NEAR))
        }
        self._pieces = self.parts | self.initials | self._beginnings | PLAIN | {"s"}
        self._near = {near for part in self._long if len(part) <= NEAR for near in _near(part)}

    def may_contain(self, word: str) -> bool:
        """Return whether the word, as the server wrote it, can be a part of a name."""
        key = fold(word)
        if not key.isascii():  # also a Latin name with a particle of another script
            return key in self.parts or any(map(self.may_contain, _latin(key)))
        if key in self.parts:
            return not (key in PLAIN or (key in AMBIGUOUS and word.islower()))
        if key in PLAIN or key in AMBIGUOUS:
            return False
        if _is_title(word):
            return True
        is_cut_off = len(key) >= PART and key in self._beginnings
        return len(key) > MAX_WORD or is_cut_off or self._is_near(key) or self._is_joined(key)

    def _is_near(self, key: str) -> bool:
        return 3 <= len(key) <= NEAR + 1 and not self._near.isdisjoint(_near(key))

    def _is_joined(self, key: str) -> bool:
        """Return whether a long part is in the word, or the whole word is made of parts."""
        # For each place in the word that pieces lead to: whether one of them is a part.
        reached: dict[int, bool] = {0: False}
        for start in range(len(key)):
            for end in range(start + 1, len(key) + 1):
                piece = key[start:end]
                if piece in self._long:
                    return True
                if start in reached and piece in self._pieces:
                    is_part = len(piece) > 1 and piece in self.parts and piece not in PLAIN
                    reached[end] = reached[start] or is_part or reached.get(end, False)
        return reached.get(len(key), False)


def _near(word: str) -> set[str]:
    """Return the word, and the word without each of its letters.

    Words that differ by one letter (another, one more, one less, or two swapped) have one of them
    in common.
    """
    return {word, *(word[:place] + word[place + 1 :] for place in range(len(word)))}
