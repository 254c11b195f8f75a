"""The OpenAI-compatible audio API, seen from the client: models, requests, answers, errors."""
