"""Stenoflow: long-form transcription. Installed as `stenoflow/__init__.py`."""
