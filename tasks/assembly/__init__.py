"""A job's transcript, made of its stored answers: settings, cache keys, diarization. Calls nobody."""
