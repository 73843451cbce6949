"""`state`: what an operator does with what `sync` keeps."""

import time
from pathlib import Path

from rich.markup import escape
from rich.table import Table

from ..sync import State
from ._run import EXIT
from ._screen import out, print_json

__all__ = ["state_export", "state_forget", "state_show"]


def state_show(path: Path, as_json: bool) -> int:
    """Print what a state holds, in numbers."""
    with State(path, create=False) as state:
        facts = {
            "endpoint": state.meta("endpoint"),
            "ids": state.ids,
            "created": _when(state.meta("created")),
            "last_run": _when(state.meta("last_run")),
        }
        counts = state.count()
    if as_json:
        found = [{"kind": k, "outcome": o, "count": n} for (k, o), n in counts.items()]
        print_json(facts | {"records": found})
        return EXIT.OK
    table = Table("kind", "outcome", "records", title=escape(str(path)), title_justify="left")
    for (kind, outcome), number in sorted(counts.items()):
        table.add_row(kind, outcome, f"{number:,}")
    for name, value in facts.items():
        out.print(f"{name.replace('_', ' ')}: {escape(str(value or 'never'))}")
    out.print(table)
    return EXIT.OK


def state_forget(path: Path, sourced_ids: list[str]) -> int:
    """Delete what is known of people and of their links."""
    with State(path, create=False) as state:
        count = state.forget(sourced_ids)
    out.print(f"Forgotten: {count:,} rows. At TimeBack nothing was changed.")
    return EXIT.OK if count else EXIT.PARTIAL


def state_export(path: Path) -> int:
    """Print what is known of every record, as JSON Lines."""
    with State(path, create=False) as state:
        for entry in state.entries():
            row = {name: value for name, value in entry._asdict().items() if name != "hash"}
            print_json(row | {"time": _when(entry.time)})
    return EXIT.OK


def _when(seconds: float | None) -> str | None:
    return None if seconds is None else time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))
