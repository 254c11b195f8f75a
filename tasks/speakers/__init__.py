"""Who speaks: told by channel, by the model or by a diariser's turns, and what they are called."""
