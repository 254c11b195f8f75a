"""The round trip from the outside: a question goes in as sound, an answer comes out as sound."""

from __future__ import annotations

import json
import sqlite3
import subprocess
from io import TextIOWrapper
from pathlib import Path
from typing import BinaryIO

import pytest

from tests.flows.conftest import Command, charges, read_artifact
from tests.flows.processes import command
from tests.instrument.recording import script, write
from tests.servers.audio_api import AudioApiServer

ANSWER = "It is nine. Nothing else is to be said about that, whatever one might think of it. Good night."


@pytest.fixture(scope="session")
def question(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("question") / "question.mp3", script(20), 20, "-b:a", "64k")


@pytest.fixture(autouse=True)
def answers(api: AudioApiServer) -> None:
    api.chat.chatter = lambda _: ANSWER


def turns(home: Path) -> list[tuple[str, str]]:
    database = sqlite3.connect(home / "stenoflow.db")
    try:
        return database.execute("SELECT role, text FROM turns ORDER BY session, number").fetchall()
    finally:
        database.close()


def test_a_question_is_heard_answered_and_spoken(
    stenoflow: Command, api: AudioApiServer, question: Path, home: Path, tmp_path: Path
) -> None:
    out = tmp_path / "answer.opus"
    printed = stenoflow("reply", question, "-o", out, "--voice", "nova", "--json")
    line = printed.line
    assert (printed.exit_code, line["status"], line["error"]) == (0, "complete", None)
    assert [(step["step"], step["calls"]) for step in line["steps"]] == [
        ("hearing", 1),
        ("chat", 1),
        ("speaking", len(api.speech.calls)),
    ]
    (chat,) = api.chat.chats
    assert chat.document["stream"] is True
    assert [each["role"] for each in chat.document["messages"]] == ["system", "user"]
    assert chat.document["messages"][1]["content"] == line["heard"]
    assert "response_format" not in chat.document
    assert line["text"] == ANSWER
    assert " ".join(sorted((call.text for call in api.speech.calls), key=ANSWER.index)) == ANSWER
    assert out.read_bytes().startswith(b"OggS")
    assert read_artifact(line, "txt") == f"{ANSWER}\n"
    assert float(line["cost"]) * 1e6 == sum(amount for kind, amount in charges(home) if kind == "actual")
    assert "chat" in printed.err
    assert "speaking" in printed.err
    assert turns(home) == []


def test_what_a_model_thinks_aloud_is_neither_spoken_nor_shown(
    stenoflow: Command, api: AudioApiServer, question: Path, tmp_path: Path
) -> None:
    api.chat.chatter = lambda _: f"<think>They want the time. Nine, or ten?</think>\n\n{ANSWER}"
    line = stenoflow("reply", question, "-o", tmp_path / "answer.opus", "--json").line
    assert (line["status"], line["text"]) == ("complete", ANSWER)
    assert " ".join(sorted((call.text for call in api.speech.calls), key=ANSWER.index)) == ANSWER
    assert read_artifact(line, "txt") == f"{ANSWER}\n"


def test_the_same_again_costs_nothing(
    stenoflow: Command, api: AudioApiServer, question: Path, tmp_path: Path
) -> None:
    first = stenoflow("reply", question, "-o", tmp_path / "a.wav", "--json").line
    calls = len(api.calls), len(api.chat.chats), len(api.speech.calls)
    again = stenoflow("reply", question, "-o", tmp_path / "b.wav", "--json").line
    assert (again["job"], again["text"], again["calls"], again["cost"]) == (
        first["job"],
        ANSWER,
        0,
        "0.0000",
    )
    assert (len(api.calls), len(api.chat.chats), len(api.speech.calls)) == calls
    assert (tmp_path / "a.wav").read_bytes() == (tmp_path / "b.wav").read_bytes()
    other = stenoflow(
        "reply", question, "-o", tmp_path / "c.wav", "--instructions", "Be rude.", "--json"
    ).line
    assert other["calls"] == 1
    assert api.chat.chats[-1].document["messages"][0]["content"] == "Be rude."


@pytest.mark.program
def test_a_session_keeps_the_conversation_until_its_recording_is_forgotten(
    stenoflow: Command, api: AudioApiServer, question: Path, home: Path, tmp_path: Path
) -> None:
    out = ("-o", tmp_path / "a.mp3", "--session", "kitchen", "--json")
    first = stenoflow("reply", question, *out).line
    stenoflow("reply", question, *out)
    said = first["heard"]
    asked = [(each["role"], each["content"]) for each in api.chat.chats[1].document["messages"][1:]]
    assert asked == [("user", said), ("assistant", ANSWER), ("user", said)]
    assert turns(home) == [("user", said), ("assistant", ANSWER)] * 2
    stenoflow("reply", question, "-o", tmp_path / "b.mp3", "--session", "garden", "--json")
    # Another conversation begins anew, with what is stored as its first answer.
    assert len(api.chat.chats) == 2
    recording = json.loads(stenoflow("show", first["job"], "--json").out)["recording"]
    assert stenoflow("forget", recording, "--yes").exit_code == 0
    assert turns(home) == []


def test_verify_builds_a_reply_anew_without_a_call(
    stenoflow: Command, api: AudioApiServer, question: Path, tmp_path: Path
) -> None:
    line = stenoflow("reply", question, "-o", tmp_path / "a.mp3", "--json").line
    paths = [Path(uri.removeprefix("file://")) for uri in line["artifacts"].values()]
    before = [path.read_bytes() for path in paths]
    for path in paths:
        path.unlink()
    assert stenoflow("verify", line["job"], "--repair").exit_code == 0
    assert [path.read_bytes() for path in paths] == before
    assert len(api.chat.chats) == 1


def test_what_could_not_be_spoken_is_all_that_resume_asks_for(
    stenoflow: Command, api: AudioApiServer, question: Path, tmp_path: Path
) -> None:
    api.script(["ok", "ok", "400"])
    printed = stenoflow("reply", question, "-o", tmp_path / "a.mp3", "--session", "kitchen", "--json")
    assert (printed.exit_code, printed.line["status"]) == (3, "failed")
    assert printed.line["text"] == ANSWER
    assert not (tmp_path / "a.mp3").exists()
    before = len(api.speech.calls)
    resumed = stenoflow("resume", printed.line["job"], "--json").line
    assert (resumed["status"], resumed["calls"]) == ("complete", 1)
    assert len(api.speech.calls) == before + 1
    assert len(api.chat.chats) == 1


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("--voice", "nobody"), 2),
        (("--session", ""), 2),
        (("--budget", "0.000001"), 4),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_sent(
    stenoflow: Command,
    api: AudioApiServer,
    question: Path,
    tmp_path: Path,
    arguments: tuple[str, str],
    code: int,
) -> None:
    assert stenoflow("reply", question, "-o", tmp_path / "a.mp3", *arguments).exit_code == code
    assert not api.calls


def test_silence_is_not_answered(stenoflow: Command, api: AudioApiServer, tmp_path: Path) -> None:
    silence = write(tmp_path / "silence.wav", [], 5)
    printed = stenoflow("reply", silence, "-o", tmp_path / "a.mp3", "--json")
    assert printed.exit_code == 4
    assert printed.line["error"]["kind"] == "nothing-to-digest"
    assert not api.chat.chats


def sound_of(process: subprocess.Popen[str]) -> BinaryIO:
    """Return what a process writes, as bytes."""
    assert isinstance(process.stdout, TextIOWrapper)
    sound: BinaryIO = process.stdout.buffer
    return sound


@pytest.mark.program
def test_the_voice_is_heard_while_the_answer_is_still_being_written(
    stenoflow: Command, api: AudioApiServer, question: Path
) -> None:
    assert stenoflow("jobs").exit_code == 0
    rest = api.chat.hold_after(3)
    with command(["reply", str(question), "-o", "-", "--format", "wav"], Path.cwd()) as process:
        first = sound_of(process).read(4_096)
        assert first.startswith(b"RIFF")
        assert not rest.is_set()
        rest.set()
        sound = first + sound_of(process).read()
        assert process.wait() == 0
    assert sum(len(call.text.split()) for call in api.speech.calls) == len(ANSWER.split())
    # 24 kHz, 16 bits, 40 ms a letter.
    assert len(sound) > 48_000 * 0.04 * len(ANSWER.replace(" ", ""))


@pytest.mark.program
def test_a_thought_that_begins_without_a_mark_is_not_played(
    stenoflow: Command, api: AudioApiServer, question: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a model that nobody knows, nothing is spoken before its thought, or its answer, has ended."""
    monkeypatch.setenv("STENOFLOW_CHAT_MODEL", "qwq-32b")
    api.chat.chatter = lambda _: f"They want the time. Is it nine, or is it ten?\n</think>\n\n{ANSWER}"
    assert stenoflow("jobs").exit_code == 0
    with command(["reply", str(question), "-o", "-", "--format", "wav"], Path.cwd()) as process:
        sound_of(process).read()
        assert process.wait() == 0
    assert " ".join(sorted((call.text for call in api.speech.calls), key=ANSWER.index)) == ANSWER


@pytest.mark.program
def test_a_closed_pipe_ends_it_cleanly(stenoflow: Command, api: AudioApiServer, question: Path) -> None:
    rest = api.chat.hold_after(3)
    with command(["reply", str(question), "-o", "-", "--format", "wav"], Path.cwd()) as process:
        sound_of(process).read(4_096)
        sound_of(process).close()
        rest.set()
        assert process.wait() == 1
        assert process.stderr is not None
        assert "Traceback" not in process.stderr.read()
    jobs = stenoflow("jobs", "--json").lines
    assert {job["state"] for job in jobs if job["kind"] == "reply"} == {"interrupted"}


@pytest.mark.program
def test_what_is_not_heard_is_not_answered(
    stenoflow: Command, api: AudioApiServer, question: Path, tmp_path: Path
) -> None:
    api.script(["400"])
    printed = stenoflow("reply", question, "-o", tmp_path / "a.mp3", "--json")
    assert printed.exit_code == 3
    assert printed.line["error"]["kind"] == "not-heard"
    assert not api.chat.chats
    assert stenoflow("reply", question, "-o", tmp_path / "a.mp3", "--json").exit_code == 0
