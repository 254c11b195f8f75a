"""Speaking: text in, sound out.

The voices are those of programs with licences of their own, so each runs as one: flite where the machine
has it, and espeak-ng in a process that loads its library (the extra ``stenoflow[speech]``). They write raw
samples into a pipe that ffmpeg encodes from, so that sound goes out while the rest is still being made.
"""
