"""The round trip: what was said in a recording is answered by a chat model, and the answer is spoken."""
