"""`state`: show, find, export or forget what `sync` remembers."""

import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ._exit import EXIT, exit_with
from ._options import DEFAULT_STATE, AsJson, StatePath

if TYPE_CHECKING:
    from ..sync import Entry

__all__ = ["export", "find", "forget", "show"]


def show(state: StatePath = DEFAULT_STATE, json: AsJson = False) -> None:
    """Print the number of records of each kind and outcome.

    Also prints the endpoint, and when the state was created and last used. While a run is on, what
    it has done so far counts.

    Example: timeback-async state show --state school.db
    """
    exit_with(lambda: _show(state, json))


def find(
    ids: Annotated[
        list[str],
        typer.Argument(help="sourcedIds of people, or hashes of them as a dry run prints them."),
    ],
    state: StatePath = DEFAULT_STATE,
    json: AsJson = False,
) -> None:
    """Print what the state knows of people: when and how each was sent, and their links.

    Works although the state keeps hashes of ids. Exit code 1 if one of them is not known.

    Example: timeback-async state find s-1 s-2
    """
    exit_with(lambda: _find(state, ids, json))


def forget(
    sourced_ids: Annotated[list[str], typer.Argument(help="sourcedIds of people.")],
    state: StatePath = DEFAULT_STATE,
    json: AsJson = False,
) -> None:
    """Remove people and their links from the state.

    Nothing changes at TimeBack. Exit code 1 if the state knows none of them.

    Example: timeback-async state forget s-1
    """
    exit_with(lambda: _forget(state, sourced_ids, json))


def export(state: StatePath = DEFAULT_STATE, json: AsJson = False) -> None:
    """Print every record of the state as JSON Lines; with --json as one object.

    Example: timeback-async state export > records.jsonl
    """
    exit_with(lambda: _export(state, json))


def _show(path: Path, as_json: bool) -> int:
    from ..sync._planning.snapshot import snapshot
    from ._screen import out, print_json, print_table

    with snapshot(path) as state:
        facts = {
            "endpoint": state.meta("endpoint"),
            "ids": state.ids,
            "created": _when(state.meta("created")),
            "last_run": _when(state.meta("last_run")),
        }
        counts = state.count()
    if as_json:
        found = [{"kind": k, "outcome": o, "count": n} for (k, o), n in counts.items()]
        print_json({"ok": True, **facts, "records": found, "exit": EXIT.OK})
        return EXIT.OK
    for name, value in facts.items():
        out.print(f"{name.replace('_', ' ')}: {value or 'never'}", markup=False)
    rows = [(kind, outcome, f"{number:,}") for (kind, outcome), number in sorted(counts.items())]
    print_table(str(path), ("kind", "outcome", "records"), rows)
    return EXIT.OK


def _find(path: Path, ids: list[str], as_json: bool) -> int:
    from ..sync._planning.snapshot import snapshot
    from ._screen import out, print_json

    records = []
    with snapshot(path) as state:
        for each in ids:
            entry = state.find(each)
            links = [] if entry is None else state.links_of(entry)
            known = {"id": state.id_of(each)} if entry is None else _as_dict(entry)
            linked = [_as_dict(link) for link in links]
            records.append({"asked": each, "known": entry is not None, **known, "links": linked})
    code = EXIT.OK if all(each["known"] for each in records) else EXIT.PARTIAL
    if as_json:
        ok = code == EXIT.OK
        error = "" if ok else "the state does not know all of them"
        print_json({"ok": ok, "records": records, "error": error, "exit": code})
        return code
    for record in records:
        out.print(_in_words(record), markup=False, soft_wrap=True)
    return code


def _in_words(record: dict[str, Any]) -> str:
    """Return one line about what is known of a person."""
    from ._screen import printable

    asked, kept = printable(record["asked"]), f"its id in the state is {record['id']}"
    if not record["known"]:
        return f"{asked}: not known; {kept}"
    return (
        f"{asked}: {record['kind']}, {record['outcome']} at {record['time']}, file "
        f"{record['source']}, links: {_counted(record['links'])}; {kept}"
    )


def _counted(links: list[dict[str, Any]]) -> str:
    """Return how many links have each outcome."""
    outcomes = Counter(link["outcome"] for link in links)
    return ", ".join(f"{number} {outcome}" for outcome, number in outcomes.items()) or "none"


def _as_dict(entry: "Entry") -> dict[str, Any]:
    """Return an entry as JSON types, without its hash."""
    row = {name: value for name, value in entry._asdict().items() if name != "hash"}
    return row | {"time": _when(entry.time)}


def _forget(path: Path, sourced_ids: list[str], as_json: bool) -> int:
    from ..sync import State
    from ._screen import counted, out, print_json

    with State(path, create=False) as state:
        count = state.forget(sourced_ids)
    code = EXIT.OK if count else EXIT.PARTIAL
    out.print(f"Removed {counted(count, 'row')} from the state. Nothing was changed at TimeBack.")
    if as_json:
        error = "" if count else "the state knows none of them"
        print_json({"ok": bool(count), "removed": count, "error": error, "exit": code})
    return code


def _export(path: Path, as_json: bool) -> int:
    from ..sync._planning.snapshot import snapshot
    from ._looking import Listing

    with snapshot(path) as state:
        listing = Listing("records", (), "json" if as_json else "jsonl")
        for entry in state.entries():
            listing.add([_as_dict(entry)])
    listing.end()
    return EXIT.OK


def _when(seconds: float | None) -> str | None:
    return None if seconds is None else time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))
