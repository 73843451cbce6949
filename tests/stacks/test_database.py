"""`sync` from a database: a query for each file of OneRoster, whatever the schema is."""

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from timeback_async import Config, Outcome, TimebackSession
from timeback_async.sync import PHASES, ReadOptions, State, SyncReport, plan, read_roster, run
from timeback_async.testing import MockServer

pyarrow = pytest.importorskip("pyarrow", reason="pyarrow is not installed")
duckdb = pytest.importorskip("duckdb", reason="DuckDB is not installed")

# A student information system keeps its own tables; a query makes OneRoster's columns of them.
USERS = """
    SELECT
        'stu-' || p.person_no AS sourcedId,
        CASE p.state WHEN 'L' THEN 'tobedeleted' ELSE 'active' END AS status,
        'true' AS enabledUser,
        p.school AS orgSourcedIds,
        'student' AS role,
        p.login AS username,
        p.first AS givenName,
        p.last AS familyName,
        p.year AS grades,
        (SELECT group_concat('con-' || g.contact_no, ',')
           FROM guardianship g WHERE g.person_no = p.person_no) AS agentSourcedIds
    FROM pupil p
    UNION ALL
    SELECT 'con-' || c.contact_no, 'active', 'true', c.school, 'guardian', NULL,
           c.first, c.last, NULL, NULL
    FROM contact c
"""
DEMOGRAPHICS = "SELECT 'stu-' || person_no AS sourcedId, born AS birthDate FROM pupil"
ORGS = "SELECT code AS sourcedId, name, 'school' AS type FROM school"


Query = Callable[[str], object]


async def nightly(query: Query, state_path: Path, config: Config) -> SyncReport:
    """Bring TimeBack up to date with a database: the recipe.

    `query` returns what Arrow can read: with DuckDB `connection.sql`, with any other database
    `lambda sql: polars.read_database(sql, connection)`.
    """
    tables = {"users": query(USERS), "demographics": query(DEMOGRAPHICS), "orgs": query(ORGS)}
    options = ReadOptions(org_map={"NORTH": "org-2", "SOUTH": "org-3"})
    with (
        State(state_path, config) as state,
        read_roster(tables, options, since=state) as roster,
    ):
        changes = plan(roster, state, deactivate_absent=True)
        async with TimebackSession(config) as timeback:
            return await run(timeback, changes)


def by_duckdb(database: Path) -> Query:
    """Query the file through DuckDB, which reads SQLite, PostgreSQL, MySQL and many files."""
    connection = duckdb.connect()
    try:
        connection.execute("LOAD sqlite")  # once before: INSTALL sqlite
    except duckdb.Error:
        pytest.skip("DuckDB's extension for SQLite is not installed")
    connection.execute(f"ATTACH '{database}' AS sis (TYPE sqlite, READ_ONLY)")
    connection.execute("USE sis")
    query: Query = connection.sql
    return query


def by_a_copy_in_duckdb(database: Path) -> Query:
    """Query tables that were copied into DuckDB, for a database that it cannot open itself."""
    connection, source = duckdb.connect(), sqlite3.connect(database)
    source.row_factory = sqlite3.Row
    for name in ("school", "pupil", "contact", "guardianship"):
        rows = [dict(row) for row in source.execute(f"SELECT * FROM {name}")]  # noqa: S608
        connection.register(name, pyarrow.Table.from_pylist(rows))
    source.close()
    query: Query = connection.sql
    return query


def by_polars(database: Path) -> Query:
    """Query any database that Python has a driver for."""
    polars = pytest.importorskip("polars", reason="polars is not installed")

    def query(sql: str) -> object:
        connection = sqlite3.connect(database)
        try:
            return polars.read_database(sql, connection, infer_schema_length=None)
        finally:
            connection.close()

    return query


@pytest.fixture
def sis(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    database = sqlite3.connect(tmp_path / "sis.db", isolation_level=None)
    database.executescript("""
        CREATE TABLE school (code TEXT PRIMARY KEY, name TEXT);
        CREATE TABLE pupil (person_no INTEGER PRIMARY KEY, state TEXT, school TEXT, login TEXT,
                            first TEXT, last TEXT, year INTEGER, born DATE);
        CREATE TABLE contact (contact_no INTEGER PRIMARY KEY, school TEXT, first TEXT, last TEXT);
        CREATE TABLE guardianship (person_no INTEGER, contact_no INTEGER);
        INSERT INTO school VALUES ('NORTH', 'North School'), ('SOUTH', 'South School');
        INSERT INTO pupil VALUES
            (1, 'E', 'NORTH', 'ada', 'Ada', 'Byron', 5, '2012-02-29'),
            (2, 'E', 'SOUTH', NULL, 'Bo', 'Li', 6, NULL),
            (3, 'L', 'SOUTH', 'cy', 'Cy', 'Roe', 6, '2011-12-31');
        INSERT INTO contact VALUES (1, 'NORTH', 'Anne', 'Byron');
        INSERT INTO guardianship VALUES (1, 1);
    """)
    yield database
    database.close()


@pytest.mark.parametrize("opened", [by_duckdb, by_a_copy_in_duckdb, by_polars])
async def test_a_database_is_a_roster_night_after_night(
    sis: sqlite3.Connection, tmp_path: Path, opened: Callable[[Path], Query]
) -> None:
    async with MockServer() as server:

        async def night() -> dict[str, int]:
            query = opened(tmp_path / "sis.db")
            report = await nightly(query, tmp_path / "state.db", server.config())
            return {phase: report.phases[phase].counts[Outcome.SAVED] for phase in PHASES[:2]}

        first = await night()
        again = await night()
        sis.execute("UPDATE pupil SET last = 'King' WHERE person_no = 1")
        changed = await night()

    assert first == {"people": 3, "links": 1}
    assert again == {"people": 0, "links": 0}
    assert changed == {"people": 1, "links": 0}
    ada = server.students["stu-1"]
    assert (ada["familyName"], ada["primaryOrg"]["sourcedId"], ada["grades"]) == (
        "King",
        "org-2",
        ["5"],
    )
    assert ada["demographics"] == {"birthDate": "2012-02-29"}
    assert server.students["stu-2"]["username"] is None
    assert len(server.agents) == 1
