"""`make fleet`: workers on one Prefect server; two of them are killed midway, and the database restarted.

They share nothing but PostgreSQL and S3 (SeaweedFS), which is slowed for a while: homes of their own, and
recordings of mixed length that come in by a drop folder, each tenth of them urgent. What is killed is started
again after a moment, as its systemd unit would. Prefect's own database is in PostgreSQL too where one with
pg_trgm is installed (its migrations ask for that), or where STENOFLOW_TEST_POSTGRES names the folder of its
programs. The whole trial takes an hour and a half on two cores:
FLEET="--recordings 1000 --longest 7200 --delay 14".

In the end, as many plain commands as there are workers transcribe a hundred of the recordings side by side,
without Prefect: what the fleet spent of the processor beyond that, by the hour of sound, with all that was
begun again after the kills, is what orchestration took.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path

import boto3.session
from rich.console import Console

from stenoflow.tasks.media.ffmpeg import find_ffmpeg
from tests.fleet.fleet import Fleet, running_fleet
from tests.fleet.spending import Spending, spent_s, watching
from tests.flows.processes import descendants
from tests.instrument.recogniser import recognise
from tests.instrument.recording import script, write
from tests.servers.audio_api import AudioApiServer, audio_api_server

# Without one more recording complete, it hangs.
_TIMEOUT_S = 1_800.0
_SEGMENT_S = 60
# As in the unit of a worker.
_RESTART_S = 5.0
# Transcribed by a plain command as well.
_MOST_PLAIN = 100
# What each request to the store is held up, where it is slowed.
_SLOW_S = 1.0
# Between the beginnings of two recordings in the long one that they are cut from.
_APART_S = 7
_WIDTH = 200
_console = Console(width=_WIDTH, highlight=False, log_path=False)


def main() -> int:
    """Run the trial; 1 if anything was lost, or paid for more often than a kill explains."""
    parser = argparse.ArgumentParser(prog="make fleet", description=__doc__)
    parser.add_argument("--recordings", type=int, default=100)
    parser.add_argument("--shortest", type=int, default=10, help="seconds of the shortest")
    parser.add_argument("--longest", type=int, default=600, help="seconds of the longest")
    parser.add_argument("--workers", type=int, default=4, help="two of them are killed")
    parser.add_argument("--runs", type=int, default=1, help="flow runs at once of a worker")
    parser.add_argument("--calls", type=int, default=15, help="calls at once of a flow run")
    parser.add_argument("--delay", type=float, default=5.0, help="seconds that the API takes for a call")
    options = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True)))
        answer = audio_api_server(lambda sound, _fields: recognise(sound), delay_s=options.delay)
        api = stack.enter_context(answer)
        fleet = stack.enter_context(running_fleet(folder, api, options.calls))
        return _trial(fleet, api, _lengths(options), options)


def _lengths(options: argparse.Namespace) -> list[int]:
    """Return lengths in seconds, as many short ones as long ones in each octave, in no order."""
    last = max(1, options.recordings - 1)
    growth = options.longest / options.shortest
    lengths = [round(options.shortest * growth ** (number / last)) for number in range(options.recordings)]
    random.Random(7).shuffle(lengths)
    return lengths


def _trial(fleet: Fleet, api: AudioApiServer, lengths: list[int], options: argparse.Namespace) -> int:
    recordings = len(lengths)
    _drop(fleet, lengths)
    _console.log(f"{recordings} recordings of {sum(lengths) / 3600:.1f} h in all are there")
    # Its start ran some hundred migrations.
    server_s = spent_s(fleet.server)
    began = time.monotonic()
    workers = [fleet.start_worker(f"worker {each}", options.runs).pid for each in range(options.workers)]
    watched = [fleet.server, *workers]
    with watching(watched) as spent:
        in_flight = _endure(fleet, api, watched, options)
    took_s = time.monotonic() - began
    spent.own_s[fleet.server] -= server_s
    _judge_time(api, options, took_s)
    failed = _judge(fleet, api, in_flight)
    _judge_orchestration(fleet, options, spent, lengths)
    return failed


def _endure(fleet: Fleet, api: AudioApiServer, watched: list[int], options: argparse.Namespace) -> int:
    """Have all that can go wrong do so while they work; return how many calls were in flight at the kills.

    ``watched``: the ids of the processes of Prefect's server and the workers; those that come are added.
    """
    in_flight, workers, recordings = 0, watched[1:], options.recordings
    try:
        asked = ["-p", f"inbox={fleet.inbox}", "-p", 'allow=["priority"]']
        fleet.prefect("deployment", "run", "ingest/stenoflow", *asked)
        for share, number in ((0.1, 0), (0.5, 1)):
            _wait(partial(_is_under_way, fleet, api, share * recordings, recordings), fleet)
            in_flight += api.busy
            _kill(workers[number])
            _console.log(f"killed a worker with all it had started; {api.busy} calls in flight in all")
            time.sleep(_RESTART_S)
            watched.append(fleet.start_worker(f"worker {number}", options.runs).pid)
            if number == 0:
                fleet.outage.begin()
                time.sleep(2)
                fleet.outage.end()
                _console.log("restarted PostgreSQL as after a crash")
        fleet.store.delay_s = _SLOW_S
        _wait(lambda: fleet.complete() >= 0.8 * recordings, fleet)
        fleet.store.delay_s = 0.0
        _console.log(f"each request to the store took {_SLOW_S:g} s longer for a while")
        _wait(lambda: fleet.complete() == recordings, fleet)
    finally:
        for worker in watched[1:]:
            _kill(worker)
    return in_flight


def _is_under_way(fleet: Fleet, api: AudioApiServer, least: float, recordings: int) -> bool:
    """Tell whether so many are complete while others are at work.

    Raises:
        ValueError: all are complete, so that nothing is left to be killed.
    """
    if fleet.complete() == recordings:
        raise ValueError(f"{recordings} recordings were complete too soon: give more, or longer ones")
    return fleet.complete() >= max(1, least) and fleet.at_work() > 0 and api.busy > 0


def _judge_time(api: AudioApiServer, options: argparse.Namespace, took_s: float) -> None:
    """Say how long it took against the calls alone, as many at once as the flow runs have together.

    The API sees more of them for a moment: those of killed workers, whose places others have taken.
    """
    calls, at_once = len(api.calls), options.workers * options.runs * options.calls
    alone_s = calls * options.delay / at_once
    _console.log(
        f"all complete after {took_s:.0f} s; {calls} calls of {options.delay:g} s, {at_once} at once, take"
        f" {alone_s:.0f} s: all took {took_s / alone_s:.2f} times as long (aim: 1.3); {api.peak} at most"
    )


def _judge(fleet: Fleet, api: AudioApiServer, in_flight: int) -> int:
    charged = [call for call in api.calls if call.charged]
    segments = fleet.asked_for()
    billed = sum(round(call.seconds * 100) for call in charged)
    exposed = fleet.exposure()
    again = len(charged) - segments
    crashed = [run.name for run in fleet.crashed()]
    _console.log(fleet.kept_by_prefect())
    waits = fleet.waits()
    told = ", ".join(f"{name} {statistics.median(each):.0f} s" for name, each in waits.items() if each)
    _console.log(f"from the first to the median beginning: {told}")
    _console.log(f"found dead, marked as crashed and resumed: {crashed}")
    _console.log(
        f"{segments} segments, {len(charged)} bills, {again} bought again;"
        f" {billed} micro-USD billed, {exposed} in the ledger"
    )
    is_out_of_order = bool(waits["urgent"]) and statistics.median(waits["urgent"]) > statistics.median(
        waits["normal"]
    )
    return int(again > in_flight or exposed < 0.99 * billed or is_out_of_order)


def _judge_orchestration(
    fleet: Fleet, options: argparse.Namespace, spent: Spending, lengths: Sequence[int]
) -> None:
    """Say what was spent of the processor, against what plain commands spend for as much sound."""
    server_s = spent.own_s[fleet.server]
    workers_s = sum(spent.own_s.values()) - server_s
    runs_s = sum(each for pid, each in spent.started_s.items() if pid != fleet.server)
    inboxes, hours = _some(fleet, lengths, options.workers)
    with watching([]) as beside:
        plain_s = fleet.transcribe_plainly(inboxes, options.runs * options.calls)
    alone_s = plain_s * sum(lengths) / 3600 / hours
    total_s = server_s + workers_s + runs_s
    _console.log(
        f"of the processor, Prefect's server took {server_s:.0f} s, the workers {workers_s:.0f} s, flow runs"
        f" with their programs {runs_s:.0f} s; plain commands took {plain_s:.0f} s for {hours:.1f} h"
    )
    then_s, now_s = statistics.mean(spent.loops_s), statistics.mean(beside.loops_s)
    # The difference of two large numbers says nothing where this is not near 1.
    _console.log(f"the same loop took {now_s / then_s:.2f} times as long beside plain commands")
    _console.log(f"orchestration: {(total_s - alone_s) / total_s:.0%} of {total_s:.0f} s (aim: 10 %)")


def _some(fleet: Fleet, lengths: Sequence[int], inboxes: int) -> tuple[list[str], float]:
    """Copy recordings of all lengths into inboxes of their own; return their addresses, and the hours."""
    client = boto3.session.Session().client("s3")
    bucket = fleet.inbox.split("/")[2]
    by_length = sorted(range(len(lengths)), key=lengths.__getitem__)
    some = by_length[:: -(-len(lengths) // _MOST_PLAIN)]
    for inbox in range(inboxes):
        for name in ("stenoflow.toml", *(f"{_name(number)}.mp3" for number in some[inbox::inboxes])):
            copied = f"{bucket}/in/{name}"
            client.copy_object(Bucket=bucket, Key=f"some {inbox}/{name}", CopySource=copied)
    addresses = [f"s3://{bucket}/some {inbox}/" for inbox in range(inboxes)]
    return addresses, sum(lengths[number] for number in some) / 3600


def _name(number: int) -> str:
    return f"{'urgent' if number % 10 == 9 else 'normal'} {number}"


def _drop(fleet: Fleet, lengths: Sequence[int]) -> None:
    """Put recordings of different sound into the inbox, with options for all, each tenth urgent."""
    client = boto3.session.Session().client("s3")
    bucket = fleet.inbox.split("/")[2]
    client.put_object(
        Bucket=bucket, Key="in/stenoflow.toml", Body=f"[recordings]\nsegment_seconds = {_SEGMENT_S}\n"
    )
    seconds = max(lengths) + _APART_S * len(lengths)
    # Frames that need none before them, so that it can be cut.
    long = write(fleet.folder / "long.mp3", script(seconds), seconds, "-b:a", "64k", "-reservoir", "0")

    def drop(number: int) -> None:
        path = _cut(long, number, lengths[number])
        name = f"in/{_name(number)}"
        if "urgent" in name:
            client.put_object(Bucket=bucket, Key=f"{name}.json", Body=b'{"priority": "urgent"}')
        client.upload_file(str(path), bucket, f"{name}.mp3")
        path.unlink()

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(drop, range(len(lengths))))
    long.unlink()


def _cut(long: Path, number: int, length_s: int) -> Path:
    path = long.with_name(f"{number}.mp3")
    some = ["-ss", str(_APART_S * number), "-t", str(length_s), "-i", str(long), "-c", "copy", str(path)]
    subprocess.run([find_ffmpeg().path, "-v", "error", "-y", *some], check=True)
    return path


def _kill(pid: int) -> None:
    """Kill a process with all that it started."""
    for each in [pid, *descendants(pid)]:
        with suppress(ProcessLookupError):
            os.kill(each, signal.SIGKILL)


def _wait(condition: Callable[[], bool], fleet: Fleet) -> None:
    complete, ends_at = -1, 0.0
    while not condition():
        if fleet.complete() > complete:
            complete, ends_at = fleet.complete(), time.monotonic() + _TIMEOUT_S
        if time.monotonic() > ends_at:
            logs = "\n".join(path.read_text()[-2000:] for path in fleet.folder.glob("*/log"))
            raise TimeoutError(f"it never came so far: {fleet.states()}\n{logs}")
        time.sleep(1.0)


if __name__ == "__main__":
    sys.exit(main())
