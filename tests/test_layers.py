import ast
import importlib
from collections.abc import Iterator
from pathlib import Path

import pytest

import timeback_async
from timeback_async import errors, testing

ROOT = Path(timeback_async.__file__).parent

# Lowest first: a folder (or "" for modules at the root), and the modules in it; a package itself is
# "". A module imports only from the wings above its own, and what stands before it in its own.
# fmt: off
WINGS = [
    ("", ["_version", "_frames", "errors"]),
    ("models", ["ids", "sent", "received", "", "kinds"]),
    ("", [
        "_settings", "_retry", "_config", "_results", "_statistics", "_report", "_trace",
        "_outcomes", "_hooks",
    ]),
    ("_wire", [
        "", "http", "words", "ordinary", "names", "numbers", "private", "status", "validate",
        "answer", "decode", "codec", "pages",
    ]),
    ("_transport", [
        "", "base", "timeouts", "coding", "fields", "proxy", "connector", "failures",
        "aiohttp_failures", "aiohttp", "connection", "origin", "direct", "lanes",
    ]),
    ("", ["_tables", "_tasks"]),
    ("_flow", [
        "", "window", "adaptive", "grant", "token", "call", "admission", "identity", "retries",
        "pool",
    ]),
    ("_bulk", ["", "item", "source", "delivery", "workers", "order", "ending", "run", "ledger"]),
    ("", ["_answer", "_session", "otel"]),
    ("testing", [
        "_schema", "_faults", "_stores", "_answers", "_tokens", "_api", "_http", "_calls",
        "_mocked", "_server", "", "plugin",
    ]),
    ("sync", ["_closing"]),
    ("sync._reading", [
        "", "files", "codes", "findings", "gaps", "layout", "columns", "records", "values", "ids",
        "lists", "options", "reporter", "cells", "text", "parquet", "tables", "manifest", "orgs",
        "alignment", "rows", "terms", "roles", "fields", "database", "people", "said", "prints",
        "memory", "matching", "comparison", "night", "roster", "merging", "json_lines",
        "relatives", "load", "links", "read",
    ]),
    ("sync._planning", [
        "", "entry", "keys", "tables", "opening", "state", "snapshot", "references", "plan",
        "removals", "id_forms", "new_ids", "compare",
    ]),
    ("sync._running", [
        "", "filling", "linking", "completion", "gone", "deactivation", "facts", "journal", "frame",
        "found", "page", "sync_report", "job",
    ]),
    ("sync._verifying", ["", "differing", "tables", "difference", "verify_report", "verification"]),
    ("sync._exporting", ["", "listed", "export_report", "export"]),
    ("sync", [""]),
    ("fleet", [
        "_tables", "_outcomes", "_files", "_partition", "_folder", "_lane", "_sending", "_report",
        "_district", "_districts", "",
    ]),
    ("dask", ["_fleet", "_cluster", "_partitions", "_districts", ""]),
    ("cli", [
        "_made_up_school", "_options", "_options_words", "_settings", "_screen", "_logs",
        "_signals", "_chart", "_exit", "_command", "_private_file", "_findings_file",
        "_output_files", "_progress", "_reading", "_looking", "_link_keys", "_records_file",
        "_agents", "_users", "_request", "_check", "_mock_server", "_run",
        "_state_commands", "_report_screen", "_verify_screen", "_job", "_demo_run",
        "_sync_run", "_fleet_run", "_upsert_batch", "_upsert_run", "_verify_run",
        "_export_run", "_unlink_run", "_demo", "_fleet", "_sync", "_upsert", "_verify",
        "_export", "_unlink", "_app", "",
    ]),
    ("", ["__init__", "__main__"]),
]
# fmt: on
PLACES = {
    ".".join(filter(None, (folder, name))): (wing, place)
    for wing, (folder, names) in enumerate(WINGS)
    for place, name in enumerate(names)
}
# No clock, no sleeping and nothing sent: everything below the transport, and the decisions.
PURE = [module for module, place in PLACES.items() if place < PLACES["_transport"]]
PURE += ["_flow.window", "_flow.adaptive", "_bulk.order"]
DOING_IO = {"aiohttp", "anyio", "asyncio", "concurrent", "http", "socket", "ssl", "threading"}


def module_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return "__init__" if parts == ("__init__",) else ".".join(parts).removesuffix(".__init__")


MODULES = {module_of(path): path for path in sorted(ROOT.rglob("*.py"))}


def all_imports(tree: ast.AST) -> Iterator[ast.Import | ast.ImportFrom]:
    """Yield every import, those for types alone and those inside functions included."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield node


def targets(statement: ast.Import | ast.ImportFrom, module: str) -> Iterator[str]:
    """Yield the full names of what is imported, `timeback_async` being left out of our own."""
    if isinstance(statement, ast.Import):
        yield from (alias.name for alias in statement.names)
        return
    base = statement.module or ""
    if statement.level:
        path = MODULES[module].relative_to(ROOT)
        folder = path.parts[: len(path.parts) - statement.level]
        base = ".".join(filter(None, ["timeback_async", *folder, base]))
    for alias in statement.names:
        inner = f"{base}.{alias.name}"
        yield inner if inner.removeprefix("timeback_async.") in MODULES else base


def source(module: str) -> str:
    return MODULES[module].read_text("utf-8")


def imports(module: str) -> set[str]:
    tree = ast.parse(source(module))
    return {target for found in all_imports(tree) for target in targets(found, module)}


def own_imports(module: str) -> set[str]:
    found = {name for name in imports(module) if name.split(".")[0] == "timeback_async"}
    return {name.removeprefix("timeback_async").removeprefix(".") or "__init__" for name in found}


@pytest.mark.parametrize("module", MODULES)
def test_a_module_imports_only_what_is_below_it(module: str) -> None:
    assert module in PLACES, f"{module} has no place in WINGS"
    assert not {name for name in own_imports(module) if PLACES[name] >= PLACES[module]}


def test_imports_are_seen_in_each_of_their_forms() -> None:
    assert own_imports("_session") >= {"_wire.codec", "_bulk.run", "errors", "models"}
    assert own_imports("testing._server") >= {"_wire.http", "testing._faults"}
    assert own_imports("__init__") >= {"errors", "models", "_session"}
    assert "_report" not in own_imports("errors")


def test_aiohttp_is_imported_by_the_transport_and_the_test_server_alone() -> None:
    users = {
        module for module in MODULES for name in imports(module) if name.split(".")[0] == "aiohttp"
    }

    senders = {module for module in users if module.startswith("_transport.")}
    assert users - senders == {"testing._http", "testing._mocked", "testing._server", "_session"}
    assert "if TYPE_CHECKING:\n    from aiohttp import TraceConfig\n" in source("_session")


@pytest.mark.parametrize("module", PURE)
def test_the_lower_layers_do_no_io(module: str) -> None:
    assert not DOING_IO & {name.split(".")[0] for name in imports(module)}


@pytest.mark.parametrize(
    "name",
    [
        "UNSET",
        "AgentKey",
        "AgentLink",
        "AgentRecord",
        "Bulk",
        "Config",
        "Demographics",
        "ItemResult",
        "OrgRecord",
        "OrgRef",
        "Outcome",
        "Report",
        "Response",
        "RetryPolicy",
        "Role",
        "Student",
        "StudentRecord",
        "TimebackSession",
        "Transport",
        "User",
        "UserRecord",
        "UserRef",
        "errors",
        "records_from",
    ],
)
def test_a_public_name_is_there(name: str) -> None:
    assert name in timeback_async.__all__
    assert hasattr(timeback_async, name)


@pytest.mark.parametrize(
    "name",
    [
        "ApiError",
        "AuthError",
        "BadRequestError",
        "ConfigError",
        "ConflictError",
        "ConnectError",
        "DeadlineError",
        "ForbiddenError",
        "NotFoundError",
        "ProtocolError",
        "RateLimitError",
        "RecordError",
        "RedirectError",
        "ServerError",
        "SessionError",
        "SourceError",
        "TimebackError",
        "TimedOutError",
        "TransportError",
    ],
)
def test_an_error_is_public(name: str) -> None:
    assert name in errors.__all__
    assert issubclass(getattr(errors, name), errors.TimebackError)


@pytest.mark.parametrize("name", ["Faults", "MockServer"])
def test_the_test_server_is_public(name: str) -> None:
    assert name in testing.__all__
    assert hasattr(testing, name)


@pytest.mark.parametrize(
    "method",
    [
        "open",
        "aclose",
        "upsert_student",
        "upsert_user",
        "upsert_student_agent",
        "delete_student_agent",
        "get_user_agents",
        "get_user",
        "list_users",
        "list_orgs",
        "upsert_many",
        "delete_many",
        "get_many_user_agents",
        "get_many_users",
        "request",
        "check_token",
        "statistics",
    ],
)
def test_a_session_has_a_method_for_each_operation(method: str) -> None:
    assert callable(getattr(timeback_async.TimebackSession, method))


@pytest.mark.parametrize("module", ["", ".errors", ".fleet", ".models", ".sync", ".testing"])
def test_every_name_a_module_offers_is_there(module: str) -> None:
    offered = importlib.import_module(f"timeback_async{module}")

    assert sorted(set(offered.__all__)) == sorted(offered.__all__)
    assert all(hasattr(offered, name) for name in offered.__all__)
