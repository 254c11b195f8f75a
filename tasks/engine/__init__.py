"""The embedded engine: an OpenAI-compatible API of our own, for machines without a key.

`engine.open_engine` gathers the models, `app.create_app` puts the API before them, and `app.serve` offers it
on a port. In process the same app is reached through `stenoflow.tasks.api.in_process`.

The voices belong to programs with licences of their own, so each runs in its own process: flite where the
machine has it, and one that loads the library of espeak-ng (the extra ``stenoflow[speech]``). They write raw
samples into a pipe that ffmpeg encodes from, so that sound goes out while the rest is still being made.
"""
