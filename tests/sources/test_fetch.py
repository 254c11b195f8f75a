"""Downloads over connections that break, and what is left in the folder."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from stenoflow.storage.errors import DiskFullError
from stenoflow.storage.objects import StoreAccessError
from stenoflow.storage.objects.s3_client import make_client
from stenoflow.tasks.errors import SourceUnreadableError
from stenoflow.tasks.sources import Source, fetch, resolve
from tests.servers.s3 import set_aws_environment
from tests.sources.breaking import BreakingObject, serving
from tests.storage.objects.test_local import largest_file
from tests.storage.objects.unprivileged import no_permission

DATA = random.Random(0).randbytes(5_000_000)
SHA256 = hashlib.sha256(DATA).hexdigest()
URI = "s3://bucket/meeting.mp3"

Start = Callable[[str], None]


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch) -> Start:
    """Point boto3 at an endpoint."""
    return lambda endpoint: set_aws_environment(monkeypatch, endpoint)


def test_goes_on_where_the_connection_broke(tmp_path: Path, at: Start) -> None:
    served = BreakingObject(DATA, bytes_a_connection=2_000_000)
    seen: list[int] = []
    with serving(served) as endpoint:
        at(endpoint)
        fetched = fetch(resolve(URI)[0], tmp_path, progress=seen.append)
    assert (fetched.sha256, fetched.size) == (SHA256, len(DATA))
    assert served.asked == ["bytes=0-", "bytes=2000000-", "bytes=4000000-"]
    assert not fetched.path.stat().st_mode & 0o077
    assert seen == sorted(seen)
    assert seen[-1] == len(DATA)
    assert list(tmp_path.iterdir()) == [fetched.path]


def test_goes_on_in_a_later_run(tmp_path: Path, at: Start) -> None:
    served = BreakingObject(DATA)
    with serving(served) as endpoint:
        at(endpoint)
        [source] = resolve(URI)
        _stop_midway(source, tmp_path)
        [part] = tmp_path.iterdir()
        assert part.name.endswith(".part")
        got = part.stat().st_size
        assert 0 < got < len(DATA)

        assert fetch(source, tmp_path).sha256 == SHA256
    assert served.asked == ["bytes=0-", f"bytes={got}-"]


def test_begins_anew_at_a_server_without_ranges(tmp_path: Path, at: Start) -> None:
    served = BreakingObject(DATA)
    with serving(served) as endpoint:
        at(endpoint)
        [source] = resolve(URI)
        _stop_midway(source, tmp_path)
        served.knows_ranges = False
        assert fetch(source, tmp_path).sha256 == SHA256


def test_gives_up_where_nothing_more_comes(tmp_path: Path, at: Start) -> None:
    served = BreakingObject(DATA, bytes_a_connection=0)
    with serving(served) as endpoint:
        at(endpoint)
        with pytest.raises(SourceUnreadableError, match=URI):
            fetch(resolve(URI)[0], tmp_path)
    assert len(served.asked) < 10


def test_never_joins_two_revisions(tmp_path: Path, at: Start) -> None:
    served = BreakingObject(DATA)
    with serving(served) as endpoint:
        at(endpoint)
        [old] = resolve(URI)
        _stop_midway(old, tmp_path)
        served.data, served.etag = bytes(len(DATA)), '"two"'
        with pytest.raises(SourceUnreadableError, match="replaced"):
            fetch(old, tmp_path)
        [new] = resolve(URI)
        assert fetch(new, tmp_path).path.read_bytes() == bytes(len(DATA))


def test_trusts_no_leftover_where_there_are_no_etags(tmp_path: Path, at: Start) -> None:
    served = BreakingObject(DATA, etag="")
    with serving(served) as endpoint:
        at(endpoint)
        [source] = resolve(URI)
        assert source.version is None
        _stop_midway(source, tmp_path)
        served.data = DATA[::-1]
        assert fetch(source, tmp_path).path.read_bytes() == DATA[::-1]
        served.data = DATA
        assert fetch(source, tmp_path).sha256 == SHA256


def test_is_done_once_by_many_at_once(tmp_path: Path, at: Start) -> None:
    served = BreakingObject(DATA)
    with serving(served) as endpoint:
        at(endpoint)
        client = make_client()
        [source] = resolve(URI, lambda: client)

        def one(_: int) -> str:
            return fetch(source, tmp_path, lambda: client).sha256

        with ThreadPoolExecutor(6) as pool:
            assert set(pool.map(one, range(6))) == {SHA256}
    assert served.asked == ["bytes=0-"]
    assert len(list(tmp_path.iterdir())) == 1


def test_into_a_folder_that_may_not_be_written(tmp_path: Path, at: Start) -> None:
    with serving(BreakingObject(DATA)) as endpoint:
        at(endpoint)
        [source] = resolve(URI)
        with no_permission(tmp_path), pytest.raises(StoreAccessError, match="permission denied"):
            fetch(source, tmp_path / "work")


def test_takes_a_name_of_its_own(tmp_path: Path, at: Start) -> None:
    with serving(BreakingObject(b"x")) as endpoint:
        at(endpoint)
        source = Source("s3://bucket/../../etc/passwd", "passwd", "one", 1)
        fetched = fetch(source, tmp_path / "work")
    assert fetched.path.parent == tmp_path / "work"
    assert "passwd" not in fetched.path.name


def _stop_midway(source: Source, folder: Path) -> None:
    with largest_file(3_000_000), pytest.raises(DiskFullError):
        fetch(source, folder)
