"""Translation by chat, where the model that transcribes does not translate."""
