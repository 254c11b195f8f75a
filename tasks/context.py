"""Everything that steps work with, opened once per process and handed in."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING
from uuid import uuid4

from stenoflow.storage.database.connection import Database, make_ready, open_database
from stenoflow.storage.errors import DiskFullError
from stenoflow.storage.private import make_private
from stenoflow.tasks.errors import SettingsError
from stenoflow.tasks.settings import Settings

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

    from stenoflow.storage.database.arrivals import Arrivals
    from stenoflow.storage.database.catalog import Catalog
    from stenoflow.storage.database.copies import WrittenCopies
    from stenoflow.storage.database.corrections import Corrections
    from stenoflow.storage.database.inboxes import Inboxes
    from stenoflow.storage.database.job_records import JobRecords
    from stenoflow.storage.database.leases import Leases
    from stenoflow.storage.database.ledger import Ledger
    from stenoflow.storage.database.links import Links
    from stenoflow.storage.database.reports import Reports
    from stenoflow.storage.database.search import SearchIndex
    from stenoflow.storage.database.voiceprints import Voiceprints
    from stenoflow.storage.objects import ObjectStore
    from stenoflow.storage.objects.s3_client import LazyClient
    from stenoflow.tasks.api.chat_models import ChatModel
    from stenoflow.tasks.api.model_table import ModelListing, ModelTable, UsedModel
    from stenoflow.tasks.api.models import Model
    from stenoflow.tasks.api.speech_models import SpeechModel
    from stenoflow.tasks.billing.prices import PriceBook
    from stenoflow.tasks.media.ffmpeg import Ffmpeg


@dataclass(frozen=True)
class AppContext:
    """The tools of a process. What a command may not need is opened when it is first asked for."""

    settings: Settings
    database: Database
    run_id: str = field(default_factory=lambda: uuid4().hex)
    """What this run of the program is called in the database."""

    def check(self, *, ffmpeg: bool = True) -> None:
        """See that all is there that a job needs, before anything is spent.

        ``ffmpeg``: try it out, too, which starts it four times; False: it may not be needed.

        Raises:
            SettingsError: no ffmpeg can be used, or an entry of the price book cannot.
            ObjectStoreError: the store cannot be used.
            DiskFullError: too little space is left for the work folder.
        """
        _ = self.prices, self.ffmpeg if ffmpeg else None
        self.store.check()
        home = self.settings.home
        home.mkdir(parents=True, exist_ok=True)
        free_mb = shutil.disk_usage(home).free // 1_000_000
        if free_mb < self.settings.least_free_mb:
            raise DiskFullError(
                f"{free_mb:,} MB are left for {home}; {self.settings.least_free_mb:,} MB are needed to begin",
                "free some space, or let STENOFLOW_HOME name another place",
            )

    @cached_property
    def leases(self) -> Leases:
        """Which runs are alive."""
        from stenoflow.storage.database.leases import Leases

        return Leases(self.database, self.settings.work / "runs")

    @cached_property
    def catalog(self) -> Catalog:
        """Recordings, jobs, segments."""
        from stenoflow.storage.database.catalog import Catalog

        return Catalog(self.database, leases=self.leases, run_id=self.run_id)

    @cached_property
    def ledger(self) -> Ledger:
        """Attempts, results, charges."""
        from stenoflow.storage.database.ledger import Ledger

        return Ledger(self.database, leases=self.leases, budgets=self.settings.budgets.caps)

    @cached_property
    def records(self) -> JobRecords:
        """Jobs whole, for the store and from it."""
        from stenoflow.storage.database.job_records import JobRecords

        return JobRecords(self.database)

    @cached_property
    def arrivals(self) -> Arrivals:
        """What came into drop folders."""
        from stenoflow.storage.database.arrivals import Arrivals

        return Arrivals(self.database, self.run_id, leases=self.leases)

    @cached_property
    def copies(self) -> WrittenCopies:
        """Copies that were written for users."""
        from stenoflow.storage.database.copies import WrittenCopies

        return WrittenCopies(self.database)

    @cached_property
    def reports(self) -> Reports:
        """Questions to the database."""
        from stenoflow.storage.database.reports import Reports

        return Reports(self.database)

    @cached_property
    def corrections(self) -> Corrections:
        """What people corrected."""
        from stenoflow.storage.database.corrections import Corrections

        return Corrections(self.database)

    @cached_property
    def inboxes(self) -> Inboxes:
        """Glossaries and looks of inboxes."""
        from stenoflow.storage.database.inboxes import Inboxes

        return Inboxes(self.database)

    @cached_property
    def links(self) -> Links:
        """Links by which readers see one transcript."""
        from stenoflow.storage.database.links import Links

        return Links(self.database)

    @cached_property
    def voiceprints(self) -> Voiceprints:
        """Voices that are kept."""
        from stenoflow.storage.database.voiceprints import Voiceprints

        return Voiceprints(self.database)

    @cached_property
    def search(self) -> SearchIndex:
        """What transcripts say."""
        from stenoflow.storage.database.search import SearchIndex

        return SearchIndex(self.database)

    def s3(self) -> S3Client:
        """Return the one client of S3, for sources and artifacts: building one takes 0.2 s."""
        return self._s3()

    @cached_property
    def _s3(self) -> LazyClient:
        from stenoflow.storage.objects.s3_client import LazyClient

        return LazyClient()

    @cached_property
    def store(self) -> ObjectStore:
        """Where artifacts go."""
        from stenoflow.storage.objects import open_store

        return open_store(self.settings.store, self.s3)

    def has_artifacts(self, job_id: str, name: str | None = None) -> bool:
        """Tell whether a job has published artifacts (``name`` among them), and the store has all; blocks."""
        artifacts = self.catalog.artifacts(job_id)
        named = bool(artifacts) if name is None else any(each.name == name for each in artifacts)
        return named and all(self.store.exists(each.key) for each in artifacts)

    @cached_property
    def models(self) -> ModelTable[Model]:
        """What each model can do."""
        from stenoflow.tasks.api.models import load_models

        return load_models(self.settings.models)

    @cached_property
    def chat_models(self) -> ModelTable[ChatModel]:
        """How much each chat model takes."""
        from stenoflow.tasks.api.chat_models import load_chat_models

        return load_chat_models(self.settings.chat_models)

    @cached_property
    def speech_models(self) -> ModelTable[SpeechModel]:
        """What each model that speaks can do."""
        from stenoflow.tasks.api.speech_models import load_speech_models

        return load_speech_models(self.settings.speech_models)

    def listing(self, model: UsedModel) -> ModelListing:
        """Return what the table says of a model of any kind."""
        from stenoflow.tasks.api.model_table import ModelKind

        tables: dict[ModelKind, Callable[[str], ModelListing]] = {
            ModelKind.TRANSCRIPTION: self.models.get,
            ModelKind.CHAT: self.chat_models.get,
            ModelKind.SPEECH: self.speech_models.get,
        }
        return tables[model.kind](model.name)

    @cached_property
    def prices(self) -> PriceBook:
        """The price book. Raises SettingsError for an entry that cannot be used."""
        return load_prices(self.settings)

    @cached_property
    def ffmpeg(self) -> Ffmpeg:
        """The program that decodes and encodes."""
        from stenoflow.tasks.media.ffmpeg import find_ffmpeg

        return find_ffmpeg()


def load_prices(settings: Settings) -> PriceBook:
    """Read the price book with the user's entries. Raises SettingsError for one that cannot be used."""
    from stenoflow.tasks.billing.prices import load_book

    overrides = {
        provider: {model: entry.model_dump() for model, entry in models.items()}
        for provider, models in settings.prices.items()
    }
    try:
        return load_book(overrides)
    except ValueError as error:
        raise SettingsError(str(error), "see [prices] in stenoflow.toml") from error


@contextmanager
def open_context(settings: Settings, run_id: str | None = None) -> Iterator[AppContext]:
    """Open the database (upgrading the embedded one) and what goes with it.

    Args:
        settings: where things are.
        run_id: what this run is called, by whoever started it and had a database then: one that restarts just
            now is waited for. None: it gets a name of its own.
    """
    make_private(settings.home)
    database = open_database(settings.database_url, reached=run_id is not None)
    try:
        ready = make_ready(database)
        yield AppContext(settings, ready) if run_id is None else AppContext(settings, ready, run_id)
    finally:
        database.close()
