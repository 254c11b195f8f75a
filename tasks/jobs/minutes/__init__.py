"""The job that makes minutes of a transcript: its questions, their answers, and what is published of them."""
