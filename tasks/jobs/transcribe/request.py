"""The request to transcribe a recording: what its options ask for, and the settings that follow."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from stenoflow.storage.database.states import JobKind
from stenoflow.storage.database.tables import Job
from stenoflow.tasks.api.chat_models import ContextTooSmallError, load_chat_models
from stenoflow.tasks.api.model_table import ModelKind, ModelTable
from stenoflow.tasks.api.models import Model, terms_that_fit
from stenoflow.tasks.api.providers import EMBEDDED, POCKETSPHINX
from stenoflow.tasks.artifacts.document import MEASURED
from stenoflow.tasks.artifacts.formats import check_formats, optional
from stenoflow.tasks.assembly.assemble import are_speakers_told
from stenoflow.tasks.assembly.job_settings import JobSettings, Speakers, is_experimental
from stenoflow.tasks.billing.amounts import to_micro
from stenoflow.tasks.calls.chosen_models import chat_model, transcription_model
from stenoflow.tasks.calls.failover import Candidate, candidates_of
from stenoflow.tasks.calls.offers import refresh_offers
from stenoflow.tasks.calls.provider import (
    asked_for,
    check_second_opinion,
    embedded_model,
    find_provider,
    is_embedded,
    provider_name,
)
from stenoflow.tasks.context import AppContext
from stenoflow.tasks.errors import ModelUnavailableError, SettingsError
from stenoflow.tasks.jobs.translate.plan import TranslationTokenBudget
from stenoflow.tasks.media.ffmpeg_arguments import SEGMENT_BITS_PER_S
from stenoflow.tasks.settings import Settings
from stenoflow.tasks.sources.inbox.options import RecordingOptions
from stenoflow.tasks.transcript.languages import CODE_OF, NAME_OF, language_code
from stenoflow.tasks.transcript.planning import SEGMENT_S, UNTIMED_SEGMENT_S, CutRule

if TYPE_CHECKING:
    from stenoflow.tasks.acoustics.voice_models import FoundModel
    from stenoflow.tasks.engine.engine import ChosenModel

_EXPERIMENTAL = (
    f"Telling voices apart by the model that is built in is experimental: {MEASURED}. Voices that are"
    " alike, far from the microphone, or in noise may be taken for one another."
)
_SHORTEST_SEGMENT_S = 5
# Less than this, and cuts would have to be where words are.
_SHORTEST_LIMIT_MS = 2_000
# No model's documented limit is above this; a model without one is not tried with more.
_LONGEST_MS = 1_400_000


@dataclass(frozen=True, slots=True)
class TranscribeRequest:
    """What the user asks of a job: what its result depends on, and what does not make it another job.

    Attributes:
        formats: artifacts beside those that every job has.
        digest: whether minutes of it are to follow.
        names: new names of speakers, by what they are called otherwise.
        before: the same as it was cut before its server was given limits; a job that was begun so goes on so,
            for its answers are paid for. None: no other.
        realign: the words of stored answers are timed by the sound anew; nothing is bought.
        settled: gives the same request once it is known what the provider offers: for a job that is new, and
            whose model nobody named. None: nothing of it depends on that.
        sha256: of the one recording that is meant; None: whatever lies there.
    """

    settings: JobSettings
    tag: str | None = None
    budget_micro: int | None = None
    formats: tuple[str, ...] = ()
    digest: bool = False
    names: Mapping[str, str] = field(default_factory=dict)
    before: JobSettings | None = None
    realign: bool = False
    settled: Callable[[], TranscribeRequest] | None = field(default=None, compare=False)
    sha256: str | None = None


def request_of(context: AppContext, options: RecordingOptions) -> TranscribeRequest:
    """Return what the options of a recording ask for. Raises SettingsError for what nobody can do."""
    request = _request_of(context, options)
    if options.model or context.settings.model or _providers(context.settings, options):
        return request

    def settled() -> TranscribeRequest:
        refresh_offers(context.settings, ModelKind.TRANSCRIPTION)
        if options.translate and not context.settings.chat_model:
            refresh_offers(context.settings, ModelKind.CHAT)
        return _request_of(context, options)

    return replace(request, settled=settled)


def _request_of(context: AppContext, options: RecordingOptions) -> TranscribeRequest:
    check_second_opinion(context.settings)
    budget_micro = None if options.budget is None else to_micro(options.budget)
    digest = context.settings.digest if options.digest is None else options.digest
    settings = job_settings(context.settings, context.models, options)
    rule = cut_rule(context.models.get(settings.model), options.segment_seconds)
    before = replace(settings, target_ms=rule.target_ms, window_ms=rule.window_ms)
    return TranscribeRequest(
        settings,
        options.tag,
        budget_micro,
        _formats(options),
        digest=digest,
        names=options.names,
        before=None if before == settings or settings.others else before,
    )


def translated(context: AppContext, job: Job) -> TranscribeRequest:
    """Return the request of a transcription, with an English transcript as well.

    Raises:
        SettingsError: the job is no transcription, or nobody translates.
    """
    if job.kind != JobKind.TRANSCRIBE:
        raise SettingsError(f"job {job.id} is no transcription")
    settings, model = JobSettings.from_dict(job.settings), context.models.get(job.settings["model"])
    translator = _translator(context.settings, model, context.models)
    chats = None if translator is None else provider_name(context.settings, ModelKind.CHAT)
    return TranscribeRequest(
        replace(
            settings,
            translate=True,
            translator=translator,
            translator_provider=None if chats == settings.provider else chats,
        ),
        job.tag,
        job.budget_micro,
        tuple(job.formats or ()),
        names=job.speakers or {},
    )


def check_options(options: RecordingOptions) -> None:
    """Raise SettingsError for options that no machine can follow, whatever its settings and its models."""
    language, languages = chosen_language(options.language), chosen_languages(options.languages or ())
    _refuse_both(language, languages)
    _formats(options)


def _providers(settings: Settings, options: RecordingOptions) -> tuple[str, ...]:
    """Return who is asked one after another: as is said of a recording or its inbox, else of its tag."""
    return options.providers or settings.tag_providers.get(options.tag or "", ())


def _formats(options: RecordingOptions) -> tuple[str, ...]:
    return optional(check_formats(options.formats)) if options.formats else ()


def job_settings(settings: Settings, models: ModelTable[Model], options: RecordingOptions) -> JobSettings:
    """Work out what a job's result will depend on.

    Raises:
        SettingsError: a language is not known, or is of no use to the model; it cannot tell speakers apart;
            nobody translates; the segments would be too short; or the embedded engine lacks the model.
    """
    said = _providers(settings, options)
    chain = candidates_of(settings, said, options.model or settings.model)
    asked = find_provider(settings, chain[0].provider).provider if chain else asked_for(settings).provider
    wanted = chain[0].model if chain else options.model
    chosen = embedded_model(settings, wanted) if asked.is_embedded else None
    ours = next((embedded_model(settings, each.model) for each in chain if each.provider == EMBEDDED), chosen)
    if chosen is None:
        name = chain[0].model if chain else transcription_model(settings, wanted)
        model = models.get(name)
    else:
        name = chosen.name
        model = replace(models.get(name), translations=chosen.translates)
    limited = asked.limited(model)
    for other in chain[1:]:
        # What one cannot do goes to the next as it is cut.
        least = find_provider(settings, other.provider).provider.limited(models.get(other.model))
        limited = replace(limited, **_lower_limits(limited, least))
    rule = cut_rule(limited, options.segment_seconds)
    language, languages = _languages(options, model)
    if ours is not None:
        _check_languages(ours, (language, *languages))
    translator = _translator(settings, model, models) if options.translate else None
    chats = None if translator is None else provider_name(settings, ModelKind.CHAT)
    speakers = _speakers(options.speakers, model, models)
    return JobSettings(
        provider=asked.name,
        model=name,
        format=model.format_for(speakers=speakers == Speakers.MODEL),
        target_ms=rule.target_ms,
        window_ms=rule.window_ms,
        language=language,
        stream=options.stream,
        languages=languages,
        keywords=terms_that_fit(options.glossary or (), model),
        translate=options.translate,
        translator=translator,
        translator_provider=None if chats == asked.name else chats,
        align=(options.align or settings.align).value,
        speakers=speakers,
        engine=None if ours is None else ours.identity,
        attendees=options.attendees,
        others=tuple(map(str, chain[1:])),
        **_voices(settings, options),
    )


@dataclass(frozen=True, slots=True)
class SpeakersWanted:
    """How many speakers there may be where voices are told apart; None: as many as are heard."""

    at_least: int | None = None
    at_most: int | None = None


def with_voices(settings: Settings, of: JobSettings, wanted: SpeakersWanted) -> JobSettings:
    """Return a job's settings with its speakers told by their voices: another job, of the same answers.

    Raises:
        SettingsError: there is no model of voices, or the job sent each channel by itself.
    """
    if of.speakers == Speakers.CHANNELS:
        raise SettingsError(
            "each channel of this recording is one speaker, and was transcribed by itself",
            "stenoflow transcribe --speakers voices transcribes it mixed",
        )
    return replace(of, speakers=Speakers.VOICES.value, turns=None, **_told_by_voices(settings, wanted))


def _voices(settings: Settings, options: RecordingOptions) -> dict[str, Any]:
    """Return what tells voices apart, and how many speakers there may be; nothing where they are not told.

    Raises:
        SettingsError: there is no model of voices, or numbers of speakers are given for nothing.
    """
    least, most = options.min_speakers, options.max_speakers
    if options.speakers != Speakers.VOICES.value:
        if least is not None or most is not None:
            raise SettingsError(
                "a number of speakers is given, and voices are not told apart", "add --speakers voices"
            )
        return {}
    return _told_by_voices(settings, SpeakersWanted(least, most))


def _told_by_voices(settings: Settings, wanted: SpeakersWanted) -> dict[str, Any]:
    least, most = wanted.at_least, wanted.at_most
    if least is not None and most is not None and least > most:
        raise SettingsError(f"at least {least} speakers and at most {most} cannot be")
    if settings.voices.keep and settings.voices_key is not None:
        from stenoflow.tasks.jobs.transcribe.known_voices import cipher_of  # noqa: PLC0415 - loads slowly

        # Whatever is wrong with the key is said before anything is spent.
        cipher_of(settings)
    return {"diarizer": voice_model(settings).identity, "min_speakers": least, "max_speakers": most}


def voice_model(settings: Settings) -> FoundModel:
    """Find the model that tells voices apart. Raises SettingsError, which says what to do, without one."""
    from stenoflow.tasks.acoustics.voice_models import find_model  # noqa: PLC0415 - for those who ask for it

    try:
        return find_model(settings.diarizer, settings.voice_models)
    except ModelUnavailableError as error:
        raise SettingsError(error.message, error.hint) from error


def _check_languages(chosen: ChosenModel, languages: Iterable[str | None]) -> None:
    """Refuse a language that the embedded engine's model would make up English for."""
    unable = next((each for each in languages if each not in {None, *chosen.languages}), None)
    if unable is None:
        return
    from stenoflow.tasks.engine.engine import able_models  # noqa: PLC0415 - loads slowly

    able = " or ".join(able_models(unable))
    raise SettingsError(
        f"{chosen.name} does not recognise {NAME_OF[unable].title()}",
        f"these do: {able}; or an API: set OPENAI_API_KEY" if able else "an API may: set OPENAI_API_KEY",
    )


def _lower_limits(one: Model, other: Model) -> dict[str, Any]:
    """Return the limits that two models both keep to."""
    names = ("max_seconds", "max_bytes")
    pairs = {name: [getattr(each, name) for each in (one, other)] for name in names}
    return {name: min(filter(None, pair), default=None) for name, pair in pairs.items()}


def cut_rule(model: Model, segment_seconds: float | None) -> CutRule:
    """Return how to cut for a model: near the wished length, never above the model's limits."""
    wished_s = segment_seconds or (SEGMENT_S if model.timed else UNTIMED_SEGMENT_S)
    if wished_s < _SHORTEST_SEGMENT_S:
        raise SettingsError(f"segments of {wished_s:g} s are too short; {_SHORTEST_SEGMENT_S} s is the least")
    longest_ms = model.longest_ms(SEGMENT_BITS_PER_S)
    if longest_ms is not None and longest_ms < _SHORTEST_LIMIT_MS:
        raise SettingsError(
            f"{model.name} takes {longest_ms / 1000:.1f} s in one call; that is too short to cut for",
            f'see max_seconds and max_bytes under [models."{model.name}"] in stenoflow.toml',
        )
    return CutRule.fitting(
        round(wished_s * 1000), _LONGEST_MS if longest_ms is None else min(_LONGEST_MS, longest_ms)
    )


def _speakers(wanted: str | None, model: Model, models: ModelTable[Model]) -> str:
    """Say how speakers are told apart; a model that is made for it does so unless it is told not to."""
    if wanted is None:
        return Speakers.MODEL.value if model.tells_speakers else Speakers.NONE.value
    if wanted == Speakers.MODEL and not model.can_tell_speakers:
        able = ", ".join(name for name, each in models.listed.items() if each.can_tell_speakers)
        raise SettingsError(f"the model {model.name} cannot tell speakers apart", f"these can: {able}")
    return wanted


def remarks_on(settings: Settings, wanted: JobSettings, options: RecordingOptions) -> Iterator[str]:
    """Yield what a user should know before the work begins: of the glossary, and of the embedded engine."""
    remark = remark_on_glossary(wanted, options.glossary or ())
    if remark is not None:
        yield remark
    if wanted.provider == EMBEDDED and settings.check:
        yield "No API transcribes here, so there is nothing for a second opinion to check."
    if is_experimental(wanted):
        yield _EXPERIMENTAL
    named = options.model is not None or settings.model is not None
    taken = [] if named else [Candidate(wanted.provider, wanted.model)]
    if Candidate(EMBEDDED, POCKETSPHINX) in (*taken, *map(Candidate.read, wanted.others)):
        from stenoflow.tasks.engine.weights import last_resort, packaged  # noqa: PLC0415 - in this rare case only

        if not packaged():
            yield last_resort()
    elif (
        taken
        and wanted.provider == EMBEDDED
        and wanted.language is None
        and embedded_model(settings, None).languages == {"en"}
    ):
        yield f"{wanted.model} recognises English only, and makes up English for any other language."


def check_engine(settings: Settings, wanted: JobSettings) -> None:
    """Refuse to go on with a job by other weights of Whisper than those that its answers are of.

    Raises:
        SettingsError: this machine has not these weights, or computes otherwise.
    """
    if wanted.engine is None or not is_embedded(settings):
        return
    here = embedded_model(settings, wanted.model).identity
    if here != wanted.engine:
        raise SettingsError(
            f"the job is of another engine ({wanted.engine}) than this machine has ({here})",
            "transcribe it anew, which makes another job; or let STENOFLOW_WHISPER_MODEL name the weights",
        )


def check_diarizer(context: AppContext, wanted: JobSettings) -> None:
    """Refuse to tell voices apart by another model than the one that the job's result is stored under.

    Raises:
        SettingsError: this machine has another, or none, and it is not told yet who speaks.
    """
    if are_speakers_told(context, wanted):
        return
    here = voice_model(context.settings).identity
    if here != wanted.diarizer:
        raise SettingsError(
            f"the job is of another model of voices ({wanted.diarizer}) than this machine has ({here})",
            "transcribe it anew with --speakers voices, which makes another job, and sends nothing again",
        )


def remark_on_glossary(settings: JobSettings, terms: Sequence[str]) -> str | None:
    """Say how much of a glossary a job's model takes; None where that is all of it."""
    taken = len(settings.keywords)
    if taken == len(terms):
        return None
    if not taken:
        return f"{settings.model} takes no glossary: none of the {len(terms)} terms is sent"
    return f"{settings.model} takes the first {taken} of the {len(terms)} terms of the glossary"


def _languages(options: RecordingOptions, model: Model) -> tuple[str | None, tuple[str, ...]]:
    """Return the one language that is spoken, or the several."""
    language, languages = chosen_language(options.language), chosen_languages(options.languages or ())
    _refuse_both(language, languages)
    if len(languages) == 1:
        return languages[0], ()
    if languages and not model.languages and model.response_format != "verbose_json":
        raise SettingsError(
            f"{model.name} neither takes several languages nor says which one it heard",
            "give one language, or none",
        )
    return language, languages


def _refuse_both(language: str | None, languages: tuple[str, ...]) -> None:
    if language is not None and languages:
        raise SettingsError(
            "both one language and several are given", "give the one that is spoken, or all that may be"
        )


def _translator(settings: Settings, model: Model, models: ModelTable[Model]) -> str | None:
    """Return the chat model that translates where the one that transcribes does not; None: it does.

    Raises:
        SettingsError: no chat model can be asked, or it takes too little.
    """
    if model.translations:
        return None
    name = chat_model(settings)
    chat = load_chat_models(settings.chat_models).get(name)
    if is_embedded(settings, ModelKind.CHAT) or not chat.translates:
        provider = provider_name(settings)
        beside = "" if is_embedded(settings, ModelKind.CHAT) else f", nor does the chat model {name}"
        hint = _translators(models, on_this_machine=provider == EMBEDDED)
        raise SettingsError(f"{model.name} at {provider} does not translate{beside}", hint)
    try:
        TranslationTokenBudget.of(chat)
    except ContextTooSmallError as error:
        raise SettingsError(
            f"the context of {name} is too small to translate: {error}",
            f'let STENOFLOW_CHAT_MODEL name another, or say its context under [chat_models."{name}"] in '
            "stenoflow.toml",
        ) from error
    return name


def _translators(models: ModelTable[Model], *, on_this_machine: bool) -> str:
    able = [name for name, model in models.listed.items() if model.translations]
    if on_this_machine:
        from stenoflow.tasks.engine.engine import able_models  # noqa: PLC0415 - loads slowly

        able = [*able_models(None), *able]
    return (
        f"{', '.join(able)} can; a server that has /audio/translations:"
        ' [models."NAME"] translations = true; or let OPENAI_BASE_URL and STENOFLOW_CHAT_MODEL name a server'
        " and a chat model that does"
    )


AUTO = "auto"
# Where the registry and Whisper call a language otherwise.
_OURS = {"jv": "jw", "fil": "tl", "nb": "no"}


def chosen_language(said: str | None) -> str | None:
    """Return the code of the language that a user names; None for ``auto`` and nothing.

    Raises:
        SettingsError: no model knows such a language; those that are written alike are named.
    """
    if said is None or said.strip().lower() == AUTO:
        return None
    code = _code(said.strip().lower().replace("_", "-"))
    if code is None:
        raise SettingsError(f"the language {said!r} is not known", _hint(said))
    return code


def chosen_languages(said: Iterable[str]) -> tuple[str, ...]:
    """Return the codes of several languages, each once, in order. Raises SettingsError as above."""
    named = [each for each in said if each.strip()]
    return tuple(dict.fromkeys(code for each in named if (code := chosen_language(each)) is not None))


def _code(plain: str) -> str | None:
    if plain in CODE_OF or plain in NAME_OF:
        return language_code(plain)
    import langcodes  # noqa: PLC0415 - takes a tenth of a second, and is rarely needed

    if not langcodes.tag_is_valid(plain):
        return None
    # Retired codes (iw), those of three letters (deu) and dialects (cmn) become the usual ones.
    language = langcodes.Language.get(langcodes.standardize_tag(plain, macro=True)).language or ""
    language = _OURS.get(language, language)
    return language if language in NAME_OF else None


def _hint(said: str) -> str:
    alike = get_close_matches(said.strip().lower(), [*CODE_OF, *NAME_OF], n=3, cutoff=0.6)
    codes = dict.fromkeys(code for each in alike if (code := language_code(each)) is not None)
    if not codes:
        return "give a code such as en, de or ja"
    return "did you mean " + " or ".join(f"{code} ({NAME_OF[code]})" for code in codes) + "?"
