"""The job that transcribes a recording: its request, preparation, segments, review, and publication."""
