"""`show --segments`: describes and prints the segments of a job, kind by kind."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from stenoflow.flows.cli.console import Column, count, fact, print_list, print_rows
from stenoflow.storage.database.cache_keys import translator_of, with_translations
from stenoflow.storage.database.states import Activity, JobKind
from stenoflow.storage.database.tables import Job
from stenoflow.tasks.artifacts import manifest
from stenoflow.tasks.artifacts.document import REASONS
from stenoflow.tasks.artifacts.verbose_json import difference_entry, suggestion_entry
from stenoflow.tasks.assembly.assemble import diarize, opinions_on, with_corrections
from stenoflow.tasks.assembly.diarization import DiarizedTranscript, with_names
from stenoflow.tasks.context import AppContext
from stenoflow.tasks.jobs.minutes.document import newest_minutes
from stenoflow.tasks.transcript.name_suggestions import NameSource, suggest_names
from stenoflow.tasks.transcript.regions import Excerpt
from stenoflow.tasks.transcript.timecode import clock, samples_to_ms, seconds


def _requests(context: AppContext, job: Job) -> Counter[int]:
    return Counter(attempt.segment_index for attempt in context.reports.attempts(job.id))


def _describe_transcription(context: AppContext, job: Job) -> dict[str, Any]:
    segments, requests = context.catalog.segments(job.id), _requests(context, job)
    cache_keys = (segment.cache_key for segment in segments)
    suspects = context.ledger.suspects(with_translations(cache_keys, translator_of(job.settings)))
    diarized, names = diarize(context, job, segments), job.speakers or {}
    transcript = diarized.transcript
    opinions = opinions_on(context, job, segments, transcript)
    return {
        "settings": job.settings,
        "language": job.settings.get("language") or job.language or transcript.language,
        "segments": [
            {
                "index": each.index,
                "channel": each.channel,
                "start": seconds(job.origin_ms + samples_to_ms(each.start_sample)),
                "end": seconds(job.origin_ms + samples_to_ms(each.end_sample)),
                "state": each.state,
                "cut": "forced" if each.forced else "silent",
                "sent": seconds(Excerpt(each.spans).duration_ms),
                "gain_db": each.gain_db,
                "attempts": requests[each.index],
                "error": each.error_message,
                **manifest.quality_entries(each, suspects, job, transcript.other_languages),
            }
            for each in segments
        ],
        **({} if opinions is None else {"second_opinion": [difference_entry(each) for each in opinions]}),
        "seams": [manifest.seam_entry(seam) for seam in transcript.seams],
        "speakers": {label: names.get(label, label) for label in diarized.speakers},
        **_names(context, job, diarized),
        **manifest.integrity_entries(job),
    }


def _names(context: AppContext, job: Job, diarized: DiarizedTranscript) -> dict[str, Any]:
    """Return who was invited, and names that speakers may have; nothing where there are none."""
    names, attendees = job.speakers or {}, job.settings.get("attendees", [])
    named = with_corrections(context, job, with_names(diarized.transcript, names))
    minutes = newest_minutes(context, job, named)
    points = () if minutes is None else minutes.minutes.action_items
    found = suggest_names(diarized.transcript.utterances, names, attendees, points)
    suggestions = [suggestion_entry(each, names) for each in found]
    described = {"attendees": attendees, "name_suggestions": suggestions}
    return {name: listed for name, listed in described.items() if listed}


def _describe_texts(context: AppContext, job: Job) -> dict[str, Any]:
    """Describe a job whose segments are questions to a chat model, or pieces of a text that is spoken."""
    own = "voice" if job.kind == JobKind.SPEAK else "of"
    segments, requests = context.catalog.segments(job.id), _requests(context, job)
    suspects = context.ledger.suspects(each.cache_key for each in segments) if own == "of" else {}
    entries = []
    for each in segments:
        entry = manifest.segment_entry(each)
        entry |= {"attempts": requests[each.index], "error": entry.pop("error")}
        entries.append(entry | ({"suspect": suspects.get(each.cache_key)} if own == "of" else {}))
    return {own: job.settings[own], "settings": job.settings, "segments": entries}


def _print_counts(name: str, segments: Sequence[Mapping[str, Any]], remark: str = "") -> None:
    """Print how many segments are in which state, and how many requests that took."""
    states = Counter(each["state"] for each in segments)
    requests = sum(each["attempts"] for each in segments)
    counted = ", ".join(f"{number} {state}" for state, number in states.items()) or "none yet"
    fact(name, f"{counted}; {count(requests, 'request')}{remark}")


def _print_transcription(details: Mapping[str, Any], *, whole: bool) -> None:
    if details["damaged"]:
        fact("damaged", details["damaged"]["reason"])
    if details["clipped"]:
        fact("clipped", f"{details['clipped']:.1%} of the samples of speech")
    for label, name in details["speakers"].items():
        fact("speaker", label if label == name else f"{label}: {name}")
    for each in details.get("name_suggestions", ()):
        quote = f" '{each['quote']}'" if each["quote"] else ""
        why = f"{REASONS[NameSource(each['source'])]}{quote} at {clock(round(each['at'] * 1000))}"
        fact("perhaps", f"{each['speaker']} is {each['name']}: {why}")
    if details.get("attendees"):
        fact("invited", ", ".join(details["attendees"]))
    seams = Counter(each["kind"] for each in details["seams"])
    joined = "; seams: " + ", ".join(f"{number} {kind}" for kind, number in seams.items()) if seams else ""
    _print_counts("segments", details["segments"], "" if whole else joined)
    channel = ["channel"] if any(each["channel"] is not None for each in details["segments"]) else []
    shown = [
        (each, remark)
        for each, remark in _with_remarks(details["segments"], (details["error"] or {}).get("message") or "")
        if remark or each["error"] or whole
    ]
    rows = [
        (
            str(each["index"]),
            *([str(each["channel"] + 1)] if channel else []),
            _precise(each["start"]),
            _precise(each["end"]),
            f"{each['sent']:.1f} s",
            each["state"],
            each["cut"] or "",
            str(each["attempts"]),
        )
        for each, _ in shown
    ]
    if rows:
        names = ("segment", *channel, "from", "to", "sent", "state", "cut", "requests")
        print_list([Column(name) for name in names], rows, [remark for _, remark in shown])
    disputed = [
        (_precise(each["start"]), _precise(each["end"]), each["kind"])
        for each in details.get("second_opinion", ())
    ]
    if disputed:
        print_rows(("a second opinion differs from", "to", "kind"), disputed)
    if whole and details["seams"]:
        print_rows(
            ("seam at", "kind", "joined by", "left out, as heard twice or in part"),
            [
                (_precise(each["at"]), each["kind"], each["joined_by"], " ".join(each["dropped"]))
                for each in details["seams"]
            ],
        )


def _with_remarks(
    segments: Sequence[Mapping[str, Any]], why: str
) -> Iterator[tuple[Mapping[str, Any], str | None]]:
    """Yield segments with what is odd of each; one error is said once, ``why`` by the job itself."""
    told = [why]
    for each in segments:
        error = each["error"]
        if not error:
            yield each, ", ".join(_remarks(each)) or None
            continue
        is_told = any(error in one for one in told)
        told.append(error)
        yield each, None if is_told else error


def _remarks(segment: Mapping[str, Any]) -> Iterator[str]:
    if segment["suspect"]:
        yield f"suspect: {segment['suspect']}"
    if segment["translation_suspect"]:
        yield f"suspect translation: {segment['translation_suspect']}"
    if segment["other_language"]:
        yield f"heard as {segment['other_language']}"
    if segment["gain_db"]:
        yield f"sent {segment['gain_db']} dB louder"


def _precise(seconds_: float) -> str:
    milliseconds = round(seconds_ * 1000)
    return f"{clock(milliseconds)}.{milliseconds % 1000:03d}"


def _print_questions(details: Mapping[str, Any], *, whole: bool) -> None:
    # A reply has three steps, of which only one is a question.
    _print_counts("steps" if _is_reply(details) else "questions", details["segments"])
    rows = []
    for each in details["segments"]:
        is_text, edges = each["activity"] == Activity.SPEECH, (each["start"], each["end"])
        where = [f"character {edge}" if is_text else clock(round(edge * 1000)) for edge in edges]
        remark = each["error"] or each["suspect"]
        if whole or remark:
            rows.append((each["index"], each["activity"], *where, each["state"], each["attempts"], remark))
    if rows:
        print_rows(("question", "activity", "from", "to", "state", "requests", "remark"), rows)


def _is_reply(details: Mapping[str, Any]) -> bool:
    return bool(details["kind"] == JobKind.REPLY)


def _print_pieces(details: Mapping[str, Any], *, whole: bool) -> None:
    _print_counts("pieces", details["segments"])
    rows = []
    for each in details["segments"]:
        start, end, remark = each["start"], each["end"], each["error"]
        if whole or remark:
            rows.append((each["index"], start, end, end - start, each["state"], each["attempts"], remark))
    if rows:
        print_rows(("piece", "from", "to", "characters", "state", "requests", "remark"), rows)


class _PrintSegments(Protocol):
    def __call__(self, details: Mapping[str, Any], *, whole: bool) -> None: ...


@dataclass(frozen=True, slots=True)
class JobView:
    """How one kind of job is shown: the facts that only it has, its details, and its segments."""

    facts: tuple[str, ...]
    describe: Callable[[AppContext, Job], dict[str, Any]]
    print_segments: _PrintSegments


_CHAT = JobView(("of",), _describe_texts, _print_questions)
VIEWS = {
    JobKind.TRANSCRIBE: JobView(("source", "language"), _describe_transcription, _print_transcription),
    JobKind.SPEAK: JobView(("voice",), _describe_texts, _print_pieces),
    JobKind.MINUTES: _CHAT,
    JobKind.REPLY: _CHAT,
}
