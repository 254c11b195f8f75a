"""The pure core: time, words, regions, cuts, stitching, cues and coverage. Standard library only."""
