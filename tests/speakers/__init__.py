"""How well speakers are told apart in meetings made of real speech: `python -m tests.speakers`."""
