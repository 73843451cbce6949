"""Translate the library's names of options and settings into the command's.

The library writes them as Python does; users of the command know flags and variables.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from ..errors import ConfigError

__all__ = ["OPTIONS", "SSL_CONTEXT", "as_flags", "named_by_flags"]

# Options of `ReadOptions` and `plan`, and their flags.
OPTIONS = {
    "strict": "--strict",
    "encoding": "--encoding",
    "layout": "--map",
    "org_map": "--org-map",
    "default_org": "--default-org",
    "grades": "--grades",
    "relationship": "--relationship",
    "date_format": "--date-format",
    "mode": "--mode",
    "accept": "--accept",
    "today": "--today",
    "deactivate_absent": "--deactivate-absent",
    "unlink_absent": "--unlink-absent",
    "max_removals": "--max-removals",
    "allow_new_ids": "--allow-new-ids",
    "resend": "--resend",
}
# Settings that the library gives advice about, and their variables.
VARIABLES = {
    name: f"TIMEBACK_{name.upper()}"
    for name in (
        "base_url", "token_url", "client_id", "client_secret", "token_auth", "transport",
    )
}  # fmt: skip
# Advice for programs, and what it means for the command.
SSL_CONTEXT = "pass an ssl_context that trusts it"
SSL_FILE = "set SSL_CERT_FILE to a file with its certificate"
NAMES = OPTIONS | VARIABLES | {"outcomes": "--outcomes"}
_any = "|".join(NAMES)
_compound = "|".join(name for name in NAMES if "_" in name)  # the others are English words, too
_before, _after = r"(?<![\w./\\-])", r"(?![\w/\\-]|\.\w)"  # not a part of a file's name
_option = re.compile(
    rf'{_before}(?:(?P<set>{_any})="(?P<value>[^"]*)"'
    rf"|(?P<on>{_any})=True\b"
    rf"|(?P<alone>{_compound}){_after})"
    rf"|\A(?P<subject>{_any})(?=: )"
)


def as_flags(text: str) -> str:
    """Return a message of the library with flags and variables in place of Python's names.

    Translates `mode="delta"`, `strict=True`, `default_org`, an option with a colon at the
    beginning of the text, and the advice for a private CA. All other text stays as it is.
    """
    return _option.sub(_flag, text).replace(SSL_CONTEXT, SSL_FILE)


def _flag(match: re.Match[str]) -> str:
    name = match["set"] or match["on"] or match["alone"] or match["subject"]
    value = match["value"]
    return NAMES[name] if value is None else f"{NAMES[name]} {value}"


@contextmanager
def named_by_flags() -> Iterator[None]:
    """Name options by their flags in the ConfigErrors that a block raises."""
    try:
        yield
    except ConfigError as error:
        error.args = tuple(as_flags(str(line)) for line in error.args)
        raise
