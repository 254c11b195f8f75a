"""Store a job's artifacts and publish them: the manifest last, so that it never names what is not there."""

from __future__ import annotations

import hashlib

from stenoflow.storage.database.tables import Artifact, Job
from stenoflow.tasks.context import AppContext

MANIFEST = "manifest.json"


def artifact_key(job: Job, name: str) -> str:
    """Return where an artifact lies in the store."""
    return f"{job.recording_id}/{job.id}/{name}"


def retract_manifest(context: AppContext, job: Job) -> None:
    """Remove the manifest of an earlier run, which must not name what is being replaced."""
    key = artifact_key(job, MANIFEST)
    # Looked for first: whoever publishes a job once need not be allowed to delete.
    if context.store.exists(key):
        context.store.delete(key)


def artifact_of(context: AppContext, job: Job, name: str, key: str, data: bytes) -> Artifact:
    """Describe an artifact for the record."""
    return Artifact(
        job_id=job.id,
        name=name,
        key=key,
        uri=context.store.uri(key),
        sha256=hashlib.sha256(data).hexdigest(),
        bytes=len(data),
    )
