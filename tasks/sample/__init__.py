"""The sample meeting that the demo transcribes: sound, script and how both were made."""
