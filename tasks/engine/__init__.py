"""The embedded engine: an OpenAI-compatible audio API of our own, for machines without a key.

`engine.open_engine` gathers the recognisers, `app.create_app` puts the API before them, and
`server.serve` offers it on a port. In process the same app is reached through
`stenoflow.tasks.api.in_process`.
"""
