"""Store and publish the files of any job: the manifest last, so that it never names what is missing.

Beside the manifest lies what the database knows of the job, so that a lost database can be rebuilt.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass

from stenoflow.storage.database.tables import Artifact, Job
from stenoflow.tasks.artifacts import manifest
from stenoflow.tasks.context import AppContext

MANIFEST = "manifest.json"
ANSWERS = "answers.json"


@dataclass(frozen=True, slots=True)
class ArtifactFile:
    """A file to be stored as an artifact of its job."""

    name: str
    data: bytes
    content_type: str


def publish_files(
    context: AppContext,
    job: Job,
    files: Iterable[ArtifactFile | Artifact],
    details: manifest.JobDetails,
) -> None:
    """Store a job's files, then the manifest that names them, and record all of them in the catalog.

    The manifest of an earlier run is removed before the first file is stored, so that it does not name what
    is being replaced.

    Args:
        context: the tools of the process.
        job: the job to publish.
        files: what is published, in the order of the manifest; an `Artifact` is in the store already.
        details: what the manifest says of this kind of job.

    Raises:
        ObjectStoreError, DiskFullError: a file could not be stored; there is no manifest then.
    """
    _retract_manifest(context, job)
    artifacts = [each if isinstance(each, Artifact) else _store(context, job, each) for each in files]
    with context.database.reading():
        record = json.dumps(context.records.read(job.id), ensure_ascii=False).encode("utf-8", "replace")
        recording = context.catalog.recording(job.recording_id)
        charges = context.reports.charges(job.id)
    context.store.put_bytes(artifact_key(job, ANSWERS), record, content_type="application/json")
    data = manifest.render(job, recording, artifacts, charges, details)
    stored = _store(context, job, ArtifactFile(MANIFEST, data, "application/json"))
    context.catalog.record_artifacts(job.id, [*artifacts, stored], details.duration_ms)


def artifact_key(job: Job, name: str) -> str:
    """Return the key of an artifact in the store."""
    return f"{job.recording_id}/{job.id}/{name}"


def _retract_manifest(context: AppContext, job: Job) -> None:
    key = artifact_key(job, MANIFEST)
    # The first time there is nothing to delete: then no permission to delete is needed.
    if context.store.exists(key):
        context.store.delete(key)


def _store(context: AppContext, job: Job, file: ArtifactFile) -> Artifact:
    key = artifact_key(job, file.name)
    context.store.put_bytes(key, file.data, content_type=file.content_type)
    return Artifact(
        job_id=job.id,
        name=file.name,
        key=key,
        uri=context.store.uri(key),
        sha256=hashlib.sha256(file.data).hexdigest(),
        bytes=len(file.data),
    )
