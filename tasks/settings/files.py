"""The files that settings are read from: one that is named, and those of the home.

Nothing is read because it lies in the current folder: that may be a drop folder, whose files others write.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from io import StringIO
from pathlib import Path
from typing import Any

import platformdirs
from dotenv import dotenv_values
from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    DotEnvSettingsSource,
    EnvSettingsSource,
    InitSettingsSource,
    PydanticBaseSettingsSource,
)

from stenoflow.storage.reasons import plain_reason
from stenoflow.tasks.errors import SettingsError

FILE_NAME = "stenoflow.toml"
ENV_NAME = ".env"
CONFIG_VARIABLE = "STENOFLOW_CONFIG"
"""Names a file of settings, as --config does."""
_HOME_VARIABLE = "STENOFLOW_HOME"
_OURS = ("STENOFLOW_", "OPENAI_API_KEY", "OPENAI_BASE_URL")
ENGINE_KEY = "STENOFLOW_ENGINE_KEY"
METRICS_KEY = "STENOFLOW_METRICS_KEY"
_KEYS = {ENGINE_KEY, METRICS_KEY}
_OF_ENVIRONMENT = {CONFIG_VARIABLE, "STENOFLOW_DEBUG", "STENOFLOW_FFMPEG"}
# More than any file of settings has.
_MOST_BYTES = 1_000_000


def find_home() -> Path:
    """Return the home: as the environment has it, the named file, or the platform.

    Raises:
        SettingsError: the named file cannot be read.
    """
    named = named_file()
    said = os.environ.get(_HOME_VARIABLE) or (named and _home_in(named))
    return (Path(said) if said else platformdirs.user_data_path("stenoflow")).expanduser().absolute()


def named_file() -> Path | None:
    """Return the file that --config or STENOFLOW_CONFIG names."""
    said = os.environ.get(CONFIG_VARIABLE)
    return Path(said).expanduser() if said else None


def find_variable(name: str) -> str | None:
    """Return a variable: of the environment, of the named file if that is like ``.env``, of the home's."""
    if said := os.environ.get(name):
        return said
    places = [path for path in (named_file(), find_home() / ENV_NAME) if path is not None and _is_env(path)]
    found = (dotenv_values(stream=StringIO(_read(path))).get(name) for path in places)
    return next(filter(None, found), None)


def file_sources(settings: type[BaseSettings]) -> Iterator[PydanticBaseSettingsSource]:
    """Yield what the files say, the named one before those of the home.

    Raises:
        SettingsError: the named file is not there, or a file cannot be read; the message names it.
    """
    named, home = named_file(), find_home()
    if named is not None:
        if not named.exists():
            raise SettingsError(
                f"there is no file {named}", f"check --config and {CONFIG_VARIABLE}, which name it"
            )
        yield _source(settings, named)
    yield from (_source(settings, home / name) for name in (ENV_NAME, FILE_NAME))


def passed_over() -> list[Path]:
    """Return the files of the current folder that look like settings of ours, and are not read."""
    read = [path for path in (named_file(), find_home() / ENV_NAME, find_home() / FILE_NAME) if path]
    here = [path for path in (Path(ENV_NAME), Path(FILE_NAME)) if path.is_file()]
    others = [path for path in here if not any(other.exists() and path.samefile(other) for other in read)]
    return [path for path in others if _has_settings(path)]


def unknown_settings(settings: type[BaseSettings]) -> Iterator[tuple[str, str]]:
    """Yield what looks like a setting and is none, with where it stands; it is passed over.

    Raises:
        SettingsError: a file cannot be read; the message names it.
    """
    unknown = _ours(os.environ) - _variables(settings) - _OF_ENVIRONMENT
    yield from ((name, "the environment") for name in sorted(unknown))
    yield from unknown_in_files(settings)


def unknown_in_files(settings: type[BaseSettings]) -> Iterator[tuple[str, str]]:
    """Yield the same of the files only: in an environment, others have names that begin like ours."""
    fields, variables = settings.model_fields, _variables(settings)
    keys = {*fields, *(each.validation_alias for each in fields.values()), "recordings"}
    home = find_home()
    for path in filter(None, (named_file(), home / ENV_NAME, home / FILE_NAME)):
        text = _read(path)
        if _is_env(path):
            unknown = _ours(dotenv_values(stream=StringIO(text))) - variables
        else:
            unknown = _parse_toml(path, text).keys() - keys
        yield from ((name, str(path)) for name in sorted(unknown))


def similar_setting(settings: type[BaseSettings], name: str) -> str | None:
    """Return the setting that is probably meant by a name; None where none is like it."""
    near = get_close_matches(name.lower().removeprefix("stenoflow_"), settings.model_fields, 1)
    return next(iter(near), None)


def _variables(settings: type[BaseSettings]) -> set[str]:
    return {f"STENOFLOW_{name.upper()}" for name in settings.model_fields} | _KEYS


def _ours(names: Iterable[str]) -> set[str]:
    return {upper for name in names if (upper := name.upper()).startswith("STENOFLOW_")}


def _source(settings: type[BaseSettings], path: Path) -> PydanticBaseSettingsSource:
    text = _read(path)
    if _is_env(path):
        return _EnvText(settings, path, text)
    return InitSettingsSource(settings, _parse_toml(path, text))


class Environment(EnvSettingsSource):
    """The settings in the environment: lists and tables are in JSON there."""

    def decode_complex_value(self, field_name: str, field: FieldInfo, value: Any) -> Any:
        """Parse a list or a table. Raises SettingsError for what is no JSON."""
        try:
            return super().decode_complex_value(field_name, field, value)
        except (ValueError, RecursionError) as error:
            raise SettingsError(
                f"the setting STENOFLOW_{field_name.upper()} cannot be used: it is no JSON",
                """in the environment and in .env, a list is written ["a", "b"], and a table {"name": "x"}""",
            ) from error


class _EnvText(Environment, DotEnvSettingsSource):
    """The settings in a file like ``.env``, whose text was read already."""

    def __init__(self, settings: type[BaseSettings], path: Path, text: str) -> None:
        self._text = text
        super().__init__(settings, env_file=path)

    def _read_env_files(self) -> dict[str, str | None]:
        said = dotenv_values(stream=StringIO(self._text))
        return {name.lower(): value for name, value in said.items() if value}


def _read(path: Path) -> str:
    """Return the text of a file; of one that is not there, nothing."""
    try:
        with _named_errors(path):
            text = path.read_text("utf-8-sig")
    except (FileNotFoundError, NotADirectoryError):
        return ""
    if "\0" in text:
        raise SettingsError(f"the settings in {path} cannot be read: there are NUL characters in it", _UTF_8)
    return text


_UTF_8 = "save it as UTF-8"


@contextmanager
def _named_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except (FileNotFoundError, NotADirectoryError):
        raise
    except UnicodeDecodeError as error:
        raise SettingsError(f"the settings in {path} cannot be read: it is not UTF-8", _UTF_8) from error
    except OSError as error:
        raise SettingsError(f"the settings in {path} cannot be read: {plain_reason(error)}") from error


def _parse_toml(path: Path, text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise SettingsError(f"the settings in {path} cannot be read: {plain_reason(error)}") from error


def _is_env(path: Path) -> bool:
    return path.name.endswith(ENV_NAME)


def _home_in(named: Path) -> str | None:
    """Return the home that the named file gives."""
    text = _read(named)
    if _is_env(named):
        return dotenv_values(stream=StringIO(text)).get(_HOME_VARIABLE)
    said = _parse_toml(named, text).get("home")
    return said if isinstance(said, str) else None


def _has_settings(path: Path) -> bool:
    """Tell whether a file would change anything if it were read; one that cannot be read might."""
    try:
        if path.stat().st_size > _MOST_BYTES:
            return False
        text = path.read_text("utf-8-sig")
        if _is_env(path):
            return any(name.upper().startswith(_OURS) for name in dotenv_values(stream=StringIO(text)))
        return bool(tomllib.loads(text).keys() - {"recordings"})
    except (OSError, ValueError, RecursionError):
        return True
