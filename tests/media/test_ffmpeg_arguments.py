from __future__ import annotations

import os
from pathlib import Path

import pytest

from stenoflow.tasks.media.ffmpeg_arguments import FORMATS, decode_args, encode_args, file_url


def options(args: list[str], name: str) -> list[str]:
    return [args[index + 1] for index, arg in enumerate(args) if arg == name]


def test_decoding_reads_one_named_file_and_nothing_else() -> None:
    args = decode_args("ff", file_url(Path("talk.mp3")), stream=2, channels=2, cap_ms=90_500)
    before_input = args[: args.index("-i")]
    assert args[0] == "ff"
    assert "-nostdin" in before_input
    assert options(before_input, "-protocol_whitelist") == ["file,pipe"]
    assert options(before_input, "-format_whitelist") == [FORMATS]
    assert options(before_input, "-threads") == ["1"]
    assert options(args, "-i") == ["file:talk.mp3"]
    assert options(args, "-map") == ["0:a:2"]
    assert options(args, "-ac") == ["2"]
    assert options(args, "-t") == ["90.500"]
    assert options(args, "-af") == ["aresample=16000:async=1000:min_hard_comp=0.02,asetnsamples=n=16000:p=0"]
    assert args[-1] == "pipe:1"


@pytest.mark.parametrize("playlist", ["hls", "concat", "dash", "image2", "tty", "lavfi"])
def test_no_format_that_names_other_files_is_taken(playlist: str) -> None:
    assert playlist not in FORMATS.split(",")


def test_encoding_writes_mono_64k_mp3_with_its_header() -> None:
    args = encode_args("ff", Path("out.part"))
    assert options(args, "-i") == ["pipe:0"]
    assert options(args, "-ar") == ["16000"]
    assert options(args, "-b:a") == ["64k"]
    assert options(args, "-compression_level") == ["7"]
    assert options(args, "-map_metadata") == ["-1"]
    assert "-write_xing" not in args
    assert "-y" in args
    assert "file:out.part" in args


@pytest.mark.parametrize("name", [b"-i.mp3", b"a:b%03d.mp3", b"two\nlines.mp3", b"\xff\xfe.mp3", b"INPUT"])
def test_a_name_is_only_a_name(name: bytes) -> None:
    path = Path(os.fsdecode(name))
    decoding = decode_args("ff", file_url(path), stream=0, channels=1, cap_ms=1)
    assert [os.fsencode(arg) for arg in options(decoding, "-i")] == [b"file:" + name]
    assert os.fsencode("\0".join(encode_args("ff", path))).split(b"\0").count(b"file:" + name) == 1
