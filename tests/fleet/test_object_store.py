"""Partitions and outcomes in an object store: a real client of S3 against a server of its own."""

from collections.abc import Iterator
from typing import Any

import pyarrow
import pytest
from pyarrow import fs, parquet

from tests.support.records import student, wire_student
from timeback_async.errors import ConfigError
from timeback_async.testing import MockServer

pytest.importorskip("distributed", reason="needs the extra dask: pip install -e '.[dask]'")
pytest.importorskip("moto.server", reason="moto, a server of S3, is not installed")
from dask.distributed import Client
from moto.server import ThreadedMotoServer

from timeback_async.dask import Fleet, send_partitions


class Store:
    """A bucket."""

    def __init__(self, port: int) -> None:
        self.query = f"?endpoint_override=127.0.0.1:{port}&scheme=http&region=us-east-1"
        self.system: Any = fs.FileSystem.from_uri(f"s3://school/{self.query}")[0]

    def url(self, path: str) -> str:
        return f"s3://school/{path}{self.query}"

    def write(self, path: str, rows: list[dict[str, Any]]) -> None:
        parquet.write_table(
            pyarrow.Table.from_pylist(rows), f"school/{path}", filesystem=self.system
        )

    def names(self, path: str) -> list[str]:
        found = self.system.get_file_info(fs.FileSelector(f"school/{path}", recursive=True))
        return sorted(each.path.removeprefix(f"school/{path}/") for each in found if each.is_file)


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    port = server.get_host_and_port()[1]
    where = f"s3://?endpoint_override=127.0.0.1:{port}&scheme=http&region=us-east-1"
    bucket, _ = fs.FileSystem.from_uri(f"{where}&allow_bucket_creation=true")
    bucket.create_dir("school")
    yield Store(port)
    server.stop()


def test_partitions_of_a_bucket_are_sent_once_and_their_outcomes_are_in_it(
    client: Client, server: MockServer, store: Store
) -> None:
    for part in range(3):
        rows = [wire_student(f"s-{part}-{n}") for n in range(4)]
        store.write(f"night/part-{part}.parquet", rows)
    store.write("links.parquet", [{"studentId": "s-0-0", "userId": "s-1-0"}])
    night, links, out = store.url("night/"), store.url("links.parquet"), store.url("outcomes")

    first = send_partitions(client, Fleet(), people=night, links=[links], out=out)
    sent = server.requests
    second = send_partitions(client, Fleet(), people=night, links=[links], out=out)

    assert (first.submitted, first.saved, len(server.students)) == (13, 12, 12)
    assert first.failures()["sourced_id"].to_pylist() == second.failures()["sourced_id"].to_pylist()
    assert server.requests == sent
    assert [name for name in store.names("outcomes") if "/" not in name] == [
        "links-00000.parquet", "people-00000.parquet", "people-00001.parquet",
        "people-00002.parquet",
    ]  # fmt: skip
    assert not [name for name in store.names("outcomes") if "/." in name]


@pytest.mark.parametrize("bucket", ["nobody's", "another"])
def test_a_bucket_that_is_not_there_is_told_before_anything_is_sent(
    client: Client, server: MockServer, store: Store, bucket: str
) -> None:
    where = store.url("out").replace("school", bucket)

    with pytest.raises(ConfigError, match=f"{bucket}.*cannot be made"):
        send_partitions(client, Fleet(), people=[[student()]], out=where)

    assert server.requests == 0
