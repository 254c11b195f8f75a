"""An engine, what it hears, and the official client before it."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import threading
import wave
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

import jiwer
import numpy as np
import openai
import pytest
import uvicorn

from stenoflow.tasks.engine.admission import Admission
from stenoflow.tasks.engine.app import create_app
from stenoflow.tasks.engine.engine import Engine, EngineSettings, open_engine
from stenoflow.tasks.engine.recogniser import Samples
from stenoflow.tasks.engine.sample import script_lines, sound
from stenoflow.tasks.engine.whisper import WhisperSettings
from stenoflow.tasks.media.decode import decode_all
from stenoflow.tasks.media.ffmpeg import find_ffmpeg
from tests.engine import tiny_whisper
from tests.real_speech import FOLDER

SPEECH = FOLDER


def word_error_rate(said: str, heard: str) -> float:
    """Compare words only: no case, no punctuation."""
    return float(jiwer.wer(plain(said), plain(heard)))


def plain(text: str) -> str:
    """Return the words of a text in lower case, and nothing else."""
    return " ".join(re.findall(r"[a-z']+", text.lower()))


def write_wav(path: Path, samples: Samples) -> Path:
    """Write 16 kHz mono samples."""
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 16_000, 0, "NONE", ""))
        file.writeframes(samples.tobytes())
    return path


@contextmanager
def serving_by_command(first: str) -> Iterator[tuple[str, str]]:
    """Run `stenoflow engine` behind lines of Python; gives the base URL, and what it said by then."""
    program = f"{first}from stenoflow.flows.cli import main\nmain()"
    with subprocess.Popen(
        [sys.executable, "-c", program, "engine", "--port", "0"],
        stderr=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    ) as server:
        assert server.stderr is not None
        said = ""
        try:
            while "OPENAI_BASE_URL" not in said:
                line = server.stderr.readline()
                assert line, said
                said += line
            yield said.rpartition("OPENAI_BASE_URL=")[2].strip(), said
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait()


@contextmanager
def serving(
    engine: Engine,
    api_key: str | None = None,
    admission: Admission | None = None,
    hosts: Collection[str] = (),
) -> Iterator[str]:
    """Serve an engine on loopback; gives the base URL."""
    config = uvicorn.Config(
        create_app(engine, api_key, admission, hosts), port=0, lifespan="off", log_level="warning"
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        threading.Event().wait(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        server.should_exit = True
        thread.join()


@pytest.fixture(scope="session")
def whisper_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a Whisper model that knows nothing."""
    return tiny_whisper.build(tmp_path_factory.mktemp("whisper") / "model")


@pytest.fixture(scope="session")
def engine(whisper_model: Path) -> Iterator[Engine]:
    """Pocketsphinx in two processes, and Whisper."""
    whisper = WhisperSettings(str(whisper_model), device="cpu", cores=2)
    engine = open_engine(EngineSettings(processes=2, whisper=whisper))
    yield engine
    engine.close()


@pytest.fixture(scope="session")
def client(engine: Engine) -> Iterator[openai.OpenAI]:
    """The official client, over real HTTP."""
    with serving(engine) as url, openai.OpenAI(base_url=url, api_key="none", max_retries=0) as client:
        yield client


@pytest.fixture(scope="session")
def short_speech(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first three sentences of the sample meeting: 10.5 s."""
    samples = decode_all(sound(), cap_ms=600_000, ffmpeg=find_ffmpeg())
    return write_wav(tmp_path_factory.mktemp("short") / "short.wav", samples[:168_000])


@pytest.fixture(scope="session")
def short_script() -> str:
    """What is said in it."""
    return " ".join(line.text for line in script_lines()[:3])


@pytest.fixture
def silence(tmp_path: Path) -> Path:
    """Five seconds of digital silence."""
    return write_wav(tmp_path / "silence.wav", np.zeros(80_000, np.int16))
