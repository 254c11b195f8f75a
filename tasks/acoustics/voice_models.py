"""The models by which voices are told apart: which there are, whose, where, and whether they are whole."""

from __future__ import annotations

import importlib.util
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from importlib.resources import files
from pathlib import Path
from typing import Final

from stenoflow.storage.file_hashes import file_sha256
from stenoflow.tasks.errors import ModelUnavailableError

GE2E: Final = "ge2e"
SHERPA: Final = "sherpa-onnx"
AUTO: Final = "auto"
"""sherpa-onnx where it and its models are there, else the encoder that is built in."""

FETCH: Final = "stenoflow models --fetch diarization"
# Raised by hand when what is found by the same weights changes; embeddings stay comparable.
_REVISION = 2


@dataclass(frozen=True, slots=True)
class ModelFile:
    """A file of a model.

    Attributes:
        sha256: what it must have; None: nobody has published it.
        member: its name in the archive at the address; None: it lies there as it is.
        archive_sha256: what the archive must have, where that is known.
        module: a package of others in which it lies under that name, if it is installed.
    """

    name: str
    url: str
    sha256: str | None = None
    member: str | None = None
    archive_sha256: str | None = None
    module: str | None = None


@dataclass(frozen=True, slots=True)
class VoiceModel:
    """A model with its files, as the table has it."""

    name: str
    by: str
    about: str
    licence: str
    source: str
    files: tuple[ModelFile, ...]


@dataclass(frozen=True, slots=True)
class FoundModel:
    """A model that is on this machine.

    Attributes:
        paths: of its files, by their names.
        identity: what a result by it depends on: its weights by their hashes, and what runs them.
    """

    model: VoiceModel
    paths: Mapping[str, Path]
    identity: str


@lru_cache
def voice_models() -> dict[str, VoiceModel]:
    """Return the table of models, by their names."""
    table = tomllib.loads(files(__package__).joinpath("voice_models.toml").read_text("utf-8"))
    return {
        name: VoiceModel(
            name=name,
            files=tuple(ModelFile(file, **entry) for file, entry in said.pop("files").items()),
            **said,
        )
        for name, said in table.items()
    }


def find_model(wanted: str, folder: Path) -> FoundModel:
    """Find the model by which voices are to be told apart.

    Args:
        wanted: ``auto``, or the name of a model.
        folder: of the models.

    Raises:
        ModelUnavailableError: it is not on this machine; the message says what to do.
    """
    if wanted != AUTO:
        return _found(voice_models()[wanted], folder)
    lacking = None
    for name in (SHERPA, GE2E):
        try:
            return _found(voice_models()[name], folder)
        except ModelUnavailableError as error:
            lacking = error
    raise lacking or ModelUnavailableError("there is no model of voices")


def _found(model: VoiceModel, folder: Path) -> FoundModel:
    engine = _engine(model)
    paths = {file.name: path for file in model.files if (path := path_of(model, file, folder)) is not None}
    missing = [file.name for file in model.files if file.name not in paths]
    if missing:
        raise ModelUnavailableError(
            f"the model {model.name}, which tells voices apart, is not on this machine: there is no"
            f" {' and no '.join(missing)} in {folder / model.name}",
            how_to_get(model),
        )
    hashes = " ".join(file_sha256(path)[:12] for path in paths.values())
    return FoundModel(model, paths, f"{engine} {hashes}/{_REVISION}")


def _engine(model: VoiceModel) -> str:
    """Return what runs a model, with its version where that may change what is found."""
    if model.name != SHERPA:
        return model.name
    try:
        return f"{SHERPA} {version(SHERPA)}"
    except PackageNotFoundError:
        raise ModelUnavailableError(
            "sherpa-onnx, which tells voices apart, is not installed", "pip install 'stenoflow[speakers]'"
        ) from None


def models_to_fetch(wanted: str) -> list[VoiceModel]:
    """Return the models that are worth fetching: the one that is named, or all that can be run here."""
    if wanted != AUTO:
        return [voice_models()[wanted]]
    return [each for each in voice_models().values() if each.name != SHERPA or _is_installed(SHERPA)]


def _is_installed(package: str) -> bool:
    try:
        return bool(version(package))
    except PackageNotFoundError:
        return False


def how_to_get(model: VoiceModel) -> str:
    """Say how to come by a model."""
    by_hand = next((file.module for file in model.files if file.module is not None), None)
    wheel = "" if by_hand is None else "; or pip install --no-deps Resemblyzer==0.1.4 (without torch)"
    return f"{FETCH}{wheel}; or let STENOFLOW_DIARIZATION_MODELS name the folder that has {model.name}/"


def path_of(model: VoiceModel, file: ModelFile, folder: Path) -> Path | None:
    """Return where a file of a model is: in the folder, else in an installed package; None: nowhere."""
    path = folder / model.name / file.name
    if path.is_file():
        return path
    # The package is looked for, and not imported.
    spec = None if file.module is None else importlib.util.find_spec(file.module)
    if spec is None or spec.origin is None or file.member is None:
        return None
    path = Path(spec.origin).parents[1] / file.member
    return path if path.is_file() else None
