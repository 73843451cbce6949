import ast
import importlib
from collections.abc import Iterator
from pathlib import Path

import pytest

import timeback_async
from timeback_async import errors, testing

ROOT = Path(timeback_async.__file__).parent

# Lowest first. A wing imports only from the wings above it here, and each of its modules only what
# stands before it in its own line. A new module needs a place.
# fmt: off
WINGS = {
    "": ["_version", "errors"],
    "models": ["ids", "sent", "received", "", "kinds"],
    "hands": ["_settings", "_retry", "_config", "_results", "_statistics", "_report", "_trace"],
    "_wire": ["", "http", "status", "validate", "answer", "codec", "pages"],
    "_transport": ["", "base", "timeouts", "aiohttp"],
    "tasks": ["_tasks"],
    "_flow": ["", "window", "adaptive", "token", "call", "admission", "retries", "pool"],
    "_bulk": ["", "item", "source", "delivery", "workers", "order", "ending", "run", "ledger"],
    "session": ["_session"],
    "testing": [
        "_schema", "_faults", "_stores", "_answers", "_tokens", "_api", "_http", "_server", "",
        "plugin",
    ],
    "sync": [],
    "cli": [],
    "package": ["__init__", "__main__"],
}
# fmt: on
# Single modules stand at the root; `cli` and `sync` hold their own order further down.
FOLDERS = {"models", "_wire", "_transport", "_flow", "_bulk", "testing", "sync", "cli"}
PURE = {"", "models", "hands", "_wire"}
DOING_IO = {"aiohttp", "anyio", "asyncio", "concurrent", "http", "socket", "ssl", "threading"}


def module_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return "__init__" if parts == ("__init__",) else ".".join(parts).removesuffix(".__init__")


MODULES = {module_of(path): path for path in sorted(ROOT.rglob("*.py"))}


def place_of(module: str) -> tuple[int, int]:
    """Return the places of a module's wing, and of the module in it."""
    folder, _, inner = module.partition(".")
    for place, (wing, names) in enumerate(WINGS.items()):
        if folder == wing and wing in FOLDERS:
            return place, names.index(inner) if names else 0
        if wing not in FOLDERS and module in names:
            return place, names.index(module)
    raise AssertionError(f"{module} has no place in WINGS")


def run_time_imports(node: ast.AST) -> Iterator[ast.Import | ast.ImportFrom]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import | ast.ImportFrom):
            yield child
        elif isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING":
            for other in child.orelse:
                yield from run_time_imports(other)
        else:
            yield from run_time_imports(child)


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


def imports(module: str) -> set[str]:
    tree = ast.parse(MODULES[module].read_text("utf-8"))
    return {target for found in run_time_imports(tree) for target in targets(found, module)}


def own_imports(module: str) -> set[str]:
    found = {name for name in imports(module) if name.split(".")[0] == "timeback_async"}
    return {name.removeprefix("timeback_async").removeprefix(".") or "__init__" for name in found}


@pytest.mark.parametrize("module", MODULES)
def test_a_module_imports_only_what_is_below_it(module: str) -> None:
    above = {name for name in own_imports(module) if place_of(name) > place_of(module)}

    assert not above
    assert module not in own_imports(module)


def test_imports_are_seen_in_each_of_their_forms() -> None:
    assert own_imports("_session") >= {"_wire.codec", "_bulk.run", "errors", "models"}
    assert own_imports("testing._server") >= {"_wire.http", "testing._faults"}
    assert own_imports("__init__") >= {"errors", "models", "_session"}
    assert "_report" not in own_imports("errors")
    assert "aiohttp" not in imports("_session")


def test_aiohttp_is_imported_by_the_transport_and_the_test_server_alone() -> None:
    users = {module for module in MODULES for name in imports(module) if name.startswith("aiohttp")}

    assert "_transport.aiohttp" in users
    assert {module for module in users if not module.startswith("testing")} == {
        "_transport.aiohttp"
    }


@pytest.mark.parametrize("module", [m for m in MODULES if list(WINGS)[place_of(m)[0]] in PURE])
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
        "User",
        "UserRecord",
        "UserRef",
        "errors",
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
        "request",
        "statistics",
    ],
)
def test_a_session_has_a_method_for_each_operation(method: str) -> None:
    assert callable(getattr(timeback_async.TimebackSession, method))


@pytest.mark.parametrize("module", ["", ".errors", ".models", ".testing"])
def test_every_name_a_module_offers_is_there(module: str) -> None:
    offered = importlib.import_module(f"timeback_async{module}")

    assert sorted(set(offered.__all__)) == sorted(offered.__all__)
    assert all(hasattr(offered, name) for name in offered.__all__)
