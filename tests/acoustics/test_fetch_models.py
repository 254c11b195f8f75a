"""Models fetched from a real server, which breaks off, knows no ranges, or has something else."""

from __future__ import annotations

import hashlib
import io
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from stenoflow.tasks.acoustics import fetch_models
from stenoflow.tasks.acoustics.fetch_models import fetch_model, is_as_safe
from stenoflow.tasks.acoustics.voice_models import ModelFile, VoiceModel
from stenoflow.tasks.errors import ModelUnavailableError

_DATA = bytes(range(256)) * 20_000


class Shelf:
    """A server of files.

    Attributes:
        files: by their paths.
        breaks: so many answers are broken off in the middle.
        knows_ranges: it goes on where it is asked to.
        asked: the ranges that were asked for.
    """

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.breaks = 0
        self.knows_ranges = True
        self.asked: list[str | None] = []
        self.url = ""


@pytest.fixture
def shelf() -> Iterator[Shelf]:
    served = Shelf()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            data, wanted = served.files.get(self.path), self.headers.get("range")
            served.asked.append(wanted)
            if data is None:
                self.send_error(404)
                return
            first = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and served.knows_ranges else 0
            if first >= len(data):
                self.send_error(416)
                return
            self.send_response(206 if first else 200)
            self.send_header("content-length", str(len(data) - first))
            self.end_headers()
            part = data[first:]
            if served.breaks:
                served.breaks -= 1
                self.wfile.write(part[: len(part) // 2])
                self.connection.close()
                return
            self.wfile.write(part)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    served.url = f"http://127.0.0.1:{server.server_port}"
    yield served
    server.shutdown()
    thread.join()
    server.server_close()


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _model(*files: ModelFile) -> VoiceModel:
    return VoiceModel("tiny", "", "", "", "", files)


def _zipped(name: str, data: bytes) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, data)
    return packed.getvalue()


def _tarred(name: str, data: bytes) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:bz2") as archive:
        entry = tarfile.TarInfo(name)
        entry.size = len(data)
        archive.addfile(entry, io.BytesIO(data))
    return packed.getvalue()


@pytest.mark.parametrize("knows_ranges", [True, False])
def test_what_is_broken_off_goes_on(shelf: Shelf, tmp_path: Path, knows_ranges: bool) -> None:
    shelf.files["/a.onnx"], shelf.breaks, shelf.knows_ranges = _DATA, 2 if knows_ranges else 1, knows_ranges
    model = _model(ModelFile("a.onnx", f"{shelf.url}/a.onnx", _sha256(_DATA)))
    (fetched,) = fetch_model(model, tmp_path)
    assert fetched.path == tmp_path / "tiny" / "a.onnx"
    assert fetched.path.read_bytes() == _DATA
    assert fetched.was_known
    assert shelf.asked[0] is None
    assert shelf.asked[1] is not None
    asked = len(shelf.asked)
    assert fetch_model(model, tmp_path) == [fetched]
    assert len(shelf.asked) == asked, "what is there is not fetched again"


@pytest.mark.parametrize("pack", [_zipped, _tarred])
def test_a_file_is_taken_out_of_an_archive(shelf: Shelf, tmp_path: Path, pack: type) -> None:
    shelf.files["/a"] = pack("folder/model.onnx", _DATA)
    file = ModelFile(
        "a.onnx", f"{shelf.url}/a", _sha256(_DATA), "folder/model.onnx", _sha256(shelf.files["/a"])
    )
    (fetched,) = fetch_model(_model(file), tmp_path)
    assert fetched.path.read_bytes() == _DATA
    assert [each.name for each in fetched.path.parent.iterdir()] == ["a.onnx"]


@pytest.mark.parametrize("pack", [None, _zipped, _tarred])
def test_what_is_not_what_it_should_be_is_not_kept(shelf: Shelf, tmp_path: Path, pack: type | None) -> None:
    shelf.files["/a"] = b"else" if pack is None else pack("m", b"else")
    file = ModelFile("a.onnx", f"{shelf.url}/a", _sha256(_DATA), None if pack is None else "m")
    with pytest.raises(ModelUnavailableError, match="not what it should be"):
        fetch_model(_model(file), tmp_path)
    assert not (tmp_path / "tiny" / "a.onnx").exists()


def test_an_archive_without_the_file_and_a_missing_address_are_said(shelf: Shelf, tmp_path: Path) -> None:
    shelf.files["/a"] = _zipped("other", _DATA)
    with pytest.raises(ModelUnavailableError, match="holds no m"):
        fetch_model(_model(ModelFile("a.onnx", f"{shelf.url}/a", member="m")), tmp_path)
    with pytest.raises(ModelUnavailableError, match="cannot be fetched") as refused:
        fetch_model(_model(ModelFile("a.onnx", f"{shelf.url}/b")), tmp_path)
    assert f"put it there as {tmp_path}/tiny/a.onnx" in (refused.value.hint or "")


def test_a_file_that_was_changed_is_refused(shelf: Shelf, tmp_path: Path) -> None:
    path = tmp_path / "tiny" / "a.onnx"
    path.parent.mkdir()
    path.write_bytes(b"changed")
    with pytest.raises(ModelUnavailableError, match="not the file that it should be"):
        fetch_model(_model(ModelFile("a.onnx", f"{shelf.url}/a", _sha256(_DATA))), tmp_path)
    assert not shelf.asked
    assert path.read_bytes() == b"changed"


@pytest.mark.parametrize("pack", [_zipped, _tarred])
def test_an_archive_that_unpacks_to_more_than_a_model_is_given_up(
    shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pack: type
) -> None:
    monkeypatch.setattr(fetch_models, "_MOST_BYTES", 10 << 20)
    shelf.files["/a"] = pack("m", bytes(20 << 20))
    with pytest.raises(ModelUnavailableError, match="packed to more than"):
        fetch_model(_model(ModelFile("a.onnx", f"{shelf.url}/a", member="m")), tmp_path)
    assert not (tmp_path / "tiny" / "a.onnx").exists()
    assert not (tmp_path / "tiny" / "a.onnx.new").exists()


def _damaged_zip() -> bytes:
    found = bytearray(_zipped("m", _DATA))
    found[40:400] = bytes(360)
    return bytes(found)


def _unknown_method() -> bytes:
    found = bytearray(_zipped("m", b"x"))
    for start in (found.index(b"PK\3\4") + 8, found.index(b"PK\1\2") + 10):
        found[start : start + 2] = b"\x63\0"
    return bytes(found)


def _link_to(target: str, kind: bytes) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:bz2") as archive:
        entry = tarfile.TarInfo("m")
        entry.type, entry.linkname = kind, target
        archive.addfile(entry)
    return packed.getvalue()


@pytest.mark.parametrize(
    "packed",
    [
        _damaged_zip(),
        _unknown_method(),
        _link_to("m", tarfile.SYMTYPE),
        _link_to("/etc/passwd", tarfile.SYMTYPE),
        _link_to("m", tarfile.LNKTYPE),
        _link_to("m", tarfile.FIFOTYPE),
        _tarred("m", _DATA)[:-300],
    ],
)
def test_a_damaged_archive_and_links_in_one_are_said(shelf: Shelf, tmp_path: Path, packed: bytes) -> None:
    shelf.files["/a"] = packed
    with pytest.raises(ModelUnavailableError, match="holds no m"):
        fetch_model(_model(ModelFile("a.onnx", f"{shelf.url}/a", member="m")), tmp_path)
    assert not (tmp_path / "tiny" / "a.onnx").exists()


def test_a_redirect_keeps_what_https_promises() -> None:
    assert is_as_safe("https://a/x", ["https://a/x", "https://b/x"])
    assert not is_as_safe("https://a/x", ["https://a/x", "http://b/x", "https://c/x"])
    assert not is_as_safe("https://a/x", ["https://a/x", "http://b/x"])
    assert is_as_safe("http://a/x", ["http://a/x", "http://b/x"])
