"""Everything done to sound: finding and running ffmpeg, probing, decoding, cutting, encoding."""
