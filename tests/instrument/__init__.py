"""Speech that can be checked exactly: every word is a number coded in tones, and a decoder hears it."""
