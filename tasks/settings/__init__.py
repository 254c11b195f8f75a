"""The settings: from the environment, a named file, and the home; see `stenoflow.tasks.settings.files`."""

from __future__ import annotations

import base64
import os
from dataclasses import dataclass, field
from datetime import time
from decimal import Decimal
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import SplitResult, quote_from_bytes, urlsplit

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeInt,
    PositiveInt,
    SecretStr,
    StringConstraints,
    ValidationError,
    field_validator,
)
from pydantic import model_validator as check_model
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from stenoflow.storage.database.cache_keys import AlignMode
from stenoflow.storage.database.charges import Budgets
from stenoflow.tasks.api.model_table import ModelKind
from stenoflow.tasks.api.providers import is_address
from stenoflow.tasks.billing.amounts import LARGEST, to_micro
from stenoflow.tasks.errors import SettingsError, reason
from stenoflow.tasks.settings.files import FILE_NAME, Environment, file_sources, find_home
from stenoflow.tasks.sources.inbox.options import Allowable, RecordingOptions

_PLACES = f"it comes from the environment, from --config FILE, or from .env or {FILE_NAME} in the home"
# More than any price of a unit; with any quantity that there is, the database can hold the charge.
_HIGHEST_PRICE = 1_000_000

Amount = Annotated[Decimal, Field(ge=0, le=LARGEST)]
UnitPrice = Annotated[Decimal, Field(ge=0, le=_HIGHEST_PRICE)]
# A year: what waits longer is a mistake, and far longer times cannot be computed with.
_MOST_HOURS = 24 * 366
Seconds = Annotated[float, Field(gt=0, le=_MOST_HOURS * 3_600)]
# Nearly three thousand years; with much more, no day can be told.
Days = Annotated[float, Field(gt=0, le=1_000_000)]


class PriceEntry(BaseModel):
    """A price in `stenoflow.toml`, under ``[prices.PROVIDER."MODEL"]``, held to its bounds.

    The fields are those of `stenoflow.tasks.billing.prices.Price`, which says what they mean.
    """

    model_config = ConfigDict(extra="forbid")

    amount: UnitPrice
    output: UnitPrice | None = None
    per: str
    currency: str = Field(default="USD", pattern="^[A-Z]{3}$")
    least: int = Field(default=0, ge=0, le=_HIGHEST_PRICE)
    rate: PositiveInt | None = None
    source: str = FILE_NAME
    date: str = "unknown"


class BudgetSettings(BaseModel):
    """Caps in USD in `stenoflow.toml`, under ``[budgets]``; those under ``[budgets.tags]`` are a month's."""

    model_config = ConfigDict(extra="forbid")

    run: Amount | None = None
    month: Amount | None = None
    tags: dict[str, Amount] = Field(default_factory=dict)

    @property
    def caps(self) -> Budgets:
        """As the ledger wants them."""
        run, month = (None if cap is None else to_micro(cap) for cap in (self.run, self.month))
        return Budgets(run, month, {tag: to_micro(cap) for tag, cap in self.tags.items()})


class RetentionPeriods(BaseModel):
    """For how many days after a job's end what is kept of it; None: for good."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    sound: Days | None = None
    """Our own copies of recordings, and cut sound."""
    answers: Days | None = None
    artifacts: Days | None = None
    recordings: Days | None = None
    """Complete recordings in an inbox: moved to its ``done_to``, else deleted."""


class RetentionSettings(RetentionPeriods):
    """The table ``[retention]``: for all jobs, and in their place for those with a tag or from an inbox."""

    tags: dict[str, RetentionPeriods] = Field(default_factory=dict)
    inboxes: dict[str, RetentionPeriods] = Field(default_factory=dict)
    """By an inbox's name."""

    def days(self, kind: str, tag: str | None, inbox: str | None) -> float | None:
        """Return for how many days something is kept; where tag and inbox both say so, the shorter."""
        nearer = [self.tags.get(tag or ""), self.inboxes.get(inbox or "")]
        said: list[float] = [days for each in nearer if (days := getattr(each, kind, None)) is not None]
        general: float | None = getattr(self, kind)
        return min(said) if said else general


class InboxSettings(BaseModel):
    """A drop folder that `stenoflow serve` looks into, in `stenoflow.toml` under ``[[inboxes]]``."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._ -]*$", max_length=80)
    address: str
    every: Seconds = 60.0
    """Seconds between two looks."""
    options: RecordingOptions = Field(default_factory=RecordingOptions)
    allow: frozenset[Allowable] = frozenset()
    """Options that what stands beside a recording may give, though they can cost more."""
    reject: bool = False
    providers: tuple[str, ...] = ()
    """Who transcribes, each what those before it cannot; the option of that name, said more shortly."""
    due: time | None = None
    """The time of day by which what came in is to be done: of its ``providers``, the cheapest that makes it
    is asked first."""
    done_to: str | None = None
    """Where complete recordings are moved to: a folder, or ``s3://bucket/prefix/``."""
    queue: str | None = None
    """The address of an SQS queue of the bucket's events."""

    @check_model(mode="after")
    def _check_queue(self) -> Self:
        if self.queue is not None and not self.address.lower().startswith("s3://"):
            message = f"the inbox {self.name} is no bucket, so that no queue can tell of it"
            raise ValueError(message)
        return self

    @check_model(mode="after")
    def _has_a_choice(self) -> Self:
        """See that there is something to choose from where the time counts."""
        if self.due is not None and not (self.providers or self.options.providers):
            message = 'due needs providers to choose from: providers = ["openai", "embedded"]'
            raise ValueError(message)
        return self

    @property
    def said(self) -> RecordingOptions:
        """The options of its recordings, its ``providers`` among them."""
        return self.options.model_copy(update={"providers": self.providers} if self.providers else {})

    @property
    def prefix(self) -> str:
        """How the addresses of recordings in it begin."""
        address = self.address
        if not address.lower().startswith(("s3://", "file://")):
            address = Path(address).expanduser().resolve().as_uri()
        return f"{address.rstrip('/')}/"


class MinutesTemplates(BaseModel):
    """The table ``[minutes]``: the template of minutes, and in its place those for a tag or an inbox."""

    model_config = ConfigDict(extra="forbid")

    template: Path | None = None
    """A file, Jinja or Markdown; relative to the home."""
    tags: dict[str, Path] = Field(default_factory=dict)
    inboxes: dict[str, Path] = Field(default_factory=dict)
    """By an inbox's name."""

    def template_for(self, tag: str | None, inbox: str | None) -> Path | None:
        """Return the file for minutes of a recording: its tag's, else its inbox's, else the general one."""
        return self.tags.get(tag or "") or self.inboxes.get(inbox or "") or self.template


class VoicesSettings(BaseModel):
    """The table ``[voices]``: whether voices are known again in later recordings."""

    model_config = ConfigDict(extra="forbid")

    keep: bool = False
    """Whether voices by which speakers were told are kept, and compared with those of later recordings."""
    across_inboxes: bool = False
    """Whether who is known from one inbox is known in others, too."""


class UserSettings(BaseModel):
    """Somebody who may log in at the desk, in `stenoflow.toml` under ``[users.NAME]``."""

    model_config = ConfigDict(extra="forbid")

    password: SecretStr | None = None
    """Its hash, as ``stenoflow serve --hash-password`` prints it; None: a trusted proxy says who it is."""
    role: Literal["reader", "editor", "operator"] = "reader"


class Settings(BaseSettings):
    """Everything that can be set from outside; options of commands come on top."""

    model_config = SettingsConfigDict(
        env_prefix="STENOFLOW_",
        extra="ignore",
        env_ignore_empty=True,
        allow_inf_nan=False,
        # In a file of TOML, all settings are called alike: openai_base_url.
        populate_by_name=True,
    )

    openai_api_key: SecretStr | None = Field(default=None, validation_alias="OPENAI_API_KEY")
    openai_base_url: str | None = Field(default=None, validation_alias="OPENAI_BASE_URL")
    provider: str | None = None
    """Name of the provider in prices and charges; told from the base URL if not given. Without a base URL:
    a provider of ``[providers.NAME]`` or one that is known; another name is refused."""

    transcription_provider: str | None = None
    """Who transcribes, of ``[providers.NAME]`` or of those that are known; else who ``provider`` names."""
    chat_provider: str | None = None
    speech_provider: str | None = None
    providers: dict[str, dict[str, Any]] = Field(default_factory=dict)
    """Servers, over those of ``providers.toml``."""

    home: Path = Field(default_factory=find_home)
    database_url: str = ""
    store: str = ""

    model: str | None = None
    chat_model: str | None = None
    """The model that writes minutes and replies, and translates where the one that transcribes does not."""
    digest: bool = False
    """Whether minutes follow each transcription."""
    align: AlignMode = AlignMode.AUTO
    """When words are timed by the sound itself."""
    speech_model: str | None = None
    """The model that speaks."""
    voice: str | None = None
    """The voice that it speaks with; None: the model's own, of ``tasks/api/models.toml``."""
    allow_prc: bool = False
    """Whether text may go to models in the People's Republic of China."""
    concurrency: PositiveInt = 6
    subtitles: Literal["netflix", "bbc", "free"] = "netflix"
    """The rules that subtitles keep."""
    max_hours: Annotated[float, Field(gt=0, le=_MOST_HOURS)] = 24.0
    """Longer recordings are refused."""
    connect_timeout_s: Seconds = 10.0
    read_timeout_s: Seconds = 300.0
    call_deadline_s: Seconds = 900.0
    """A call that takes longer in all is given up; it may have been charged."""
    grace_s: Seconds = 10.0
    """How long calls in flight may go on after an interrupt."""

    hosts: frozenset[Annotated[str, StringConstraints(to_lower=True, pattern=r"^[\w.-]+$")]] = frozenset()
    """Further names that our servers answer to, without a port: those of a reverse proxy."""

    least_free_mb: NonNegativeInt = 64
    """With less space than this left for ``home``, nothing is begun."""

    whisper_model: str = "auto"
    """The embedded engine's Whisper: a name, a folder, or ``auto``, the best whose weights are installed."""

    diarizer: Literal["auto", "ge2e", "sherpa-onnx"] = "auto"
    """What tells voices apart; ``auto``: sherpa-onnx where it and its models are there, else GE2E."""
    diarization_models: Path | None = None
    """The folder with its models; None: ``models/diarization`` in the home."""

    voices: VoicesSettings = Field(default_factory=VoicesSettings)
    voices_key: SecretStr | None = None
    """What kept voices are encrypted by: 32 bytes in URL-safe base64."""

    check: bool = False
    """Whether the embedded Whisper transcribes, too, what an API did, and marks where it differs."""

    webhook_url: str | None = None
    webhook_secret: SecretStr | None = None

    dashboard_auth: SecretStr | None = None
    """``user:password``, asked of whoever opens the dashboard."""
    users: dict[str, UserSettings] = Field(default_factory=dict)
    """Who may log in beside that user, and what they may do."""
    trusted_proxies: list[str] = Field(default_factory=list)
    """Addresses and networks of proxies that have logged in whom they name in ``X-Forwarded-User``."""
    desk_url: str | None = None
    """Where people reach the desk, if not where it listens: behind a proxy, or from other machines."""
    shared_calls: PositiveInt | None = None
    """Calls in flight at most, of all workers of a Prefect server."""
    shared_calls_a_minute: PositiveInt | None = None
    """Calls begun in a minute at most, of the same."""
    inboxes: list[InboxSettings] = Field(default_factory=list)
    tag_providers: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    """Who transcribes what has a tag, each what those before it cannot; where nobody is named otherwise."""
    minutes: MinutesTemplates = Field(default_factory=MinutesTemplates)

    retention: RetentionSettings = Field(default_factory=RetentionSettings)

    budgets: BudgetSettings = Field(default_factory=BudgetSettings)
    prices: dict[str, dict[str, PriceEntry]] = Field(default_factory=dict)
    models: dict[str, dict[str, Any]] = Field(default_factory=dict)
    chat_models: dict[str, dict[str, Any]] = Field(default_factory=dict)
    """How much chat models take, over those of the table of models."""
    speech_models: dict[str, dict[str, Any]] = Field(default_factory=dict)

    @check_model(mode="after")
    def _fill(self) -> Self:
        self.home = self.home.expanduser().absolute()
        self.database_url = self.database_url or _sqlite_url(self.home / "stenoflow.db")
        self.store = self.store or (self.home / "store").as_uri()
        _ = self.webhook
        return self

    @field_validator("trusted_proxies")
    @classmethod
    def _are_networks(cls, given: list[str]) -> list[str]:
        """See that each is an address or a network."""
        for each in given:
            try:
                ip_network(each)
            except ValueError as error:
                message = f"{each!r} is neither the address of a machine nor a network such as 10.0.0.0/24"
                raise ValueError(message) from error
        return given

    @field_validator("desk_url")
    @classmethod
    def _is_origin(cls, given: str | None) -> str | None:
        """See that it is a server's address and nothing more: the desk stands at its root."""
        parts = urlsplit((given or "http://desk").rstrip("/"))
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.geturl() != _origin(parts):
            raise ValueError("an address like https://desk.example.com is wanted, without a path")
        return given and parts.geturl()

    @property
    def webhook(self) -> Endpoint | None:
        """Who is told what happens; None: nobody."""
        if self.webhook_url is None:
            return None
        secret = self.webhook_secret
        return Endpoint(self.webhook_url, secret.get_secret_value() if secret else "")

    def provider_of(self, kind: ModelKind) -> str | None:
        """Return the provider that is named for a kind; None: the usual one is asked."""
        return {
            ModelKind.TRANSCRIPTION: self.transcription_provider,
            ModelKind.CHAT: self.chat_provider,
            ModelKind.SPEECH: self.speech_provider,
        }[kind]

    @property
    def work(self) -> Path:
        """The folder for what is needed only while a job runs."""
        return self.home / "work"

    @property
    def voice_models(self) -> Path:
        """The folder with the models that tell voices apart."""
        return self.diarization_models or self.home / "models" / "diarization"

    def with_budget(self, run: Decimal | None) -> Self:
        """Return the settings with another cap for a run; None: with their own."""
        if run is None:
            return self
        return self.model_copy(update={"budgets": self.budgets.model_copy(update={"run": run})})

    def with_check(self, *, wanted: bool) -> Self:
        """Return the settings with second opinions, if they are wanted; else as they are."""
        return self.model_copy(update={"check": True}) if wanted else self

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - the base class gives it
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - the same
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - the same
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Put the files behind the environment; tables are merged key by key."""
        return init_settings, Environment(settings_cls), *file_sources(settings_cls)


def load_settings(**overrides: Any) -> Settings:
    """Read the settings.

    Raises:
        SettingsError: a value cannot be used; the message names the setting.
    """
    try:
        # A home's own file cannot say that another is meant.
        return Settings(**{"home": find_home()} | overrides)
    except ValidationError as error:
        first = error.errors()[0]
        if not first["loc"]:
            raise SettingsError(f"the settings cannot be used: {reason(first)}", _PLACES) from error
        name, *inside = (str(part) for part in first["loc"])
        variable = name if name.isupper() else f"STENOFLOW_{name.upper()}"
        where = f"[{'.'.join([name, *inside])}]" if inside else variable
        raise SettingsError(f"the setting {where} cannot be used: {reason(first)}", _PLACES) from error
    except (OSError, ValueError) as error:
        raise SettingsError(f"the settings cannot be read: {error}") from error


def _origin(parts: SplitResult) -> str:
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def inbox_of(settings: Settings, source: str) -> str | None:
    """Return the name of the inbox that a recording came from; None where it came from none."""
    return next((each.name for each in settings.inboxes if source.startswith(each.prefix)), None)


def _sqlite_url(file: Path) -> str:
    """Return the address of a database; what means something in an address (``?``, ``%``) is encoded."""
    return f"sqlite:///{quote_from_bytes(os.fsencode(file))}"


_PREFIX = "whsec_"
_LEAST_BYTES, _MOST_BYTES = 24, 64
_HOW_TO_MAKE_ONE = 'make one: echo "whsec_$(openssl rand -base64 32)", and give it to the receiver, too'


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A receiver of events.

    Attributes:
        url: http or https; may itself hold a secret, so messages name its `origin` only.
        secret: "whsec_" and 24 to 64 bytes in base64.

    Raises:
        SettingsError: one of them cannot be used; neither is shown.
    """

    url: str = field(repr=False)
    secret: str = field(repr=False)

    def __post_init__(self) -> None:
        if not _is_usable(self.url):
            raise SettingsError(
                "the address for events is not an http or https URL",
                "set STENOFLOW_WEBHOOK_URL to something like https://example.com/hooks/stenoflow",
            )
        if not self.secret:
            raise SettingsError("STENOFLOW_WEBHOOK_URL is set and no secret to sign with", _in_variable())
        if not _is_secret(self.secret):
            raise SettingsError(
                f"the secret to sign events with is not {_PREFIX} and {_LEAST_BYTES} to {_MOST_BYTES} bytes"
                " in base64",
                _in_variable(),
            )

    @property
    def origin(self) -> str:
        """The receiver without path and credentials, for messages."""
        import httpx  # noqa: PLC0415 - a third of a second, for those who call

        url = httpx.URL(self.url)
        return f"{url.scheme}://{url.netloc.decode('ascii')}"


def _in_variable() -> str:
    return f"set STENOFLOW_WEBHOOK_SECRET; {_HOW_TO_MAKE_ONE}"


def _is_usable(url: str) -> bool:
    import httpx  # noqa: PLC0415 - a third of a second, for those who call

    try:
        httpx.URL(url)
    except httpx.InvalidURL:
        return False
    return is_address(url)


def _is_secret(secret: str) -> bool:
    # Strictly: the library that signs would drop what is no base64, and sign with what is left.
    try:
        key = base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
    except ValueError:
        return False
    return secret.startswith(_PREFIX) and _LEAST_BYTES <= len(key) <= _MOST_BYTES
