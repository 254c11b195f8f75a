"""Telling another program what happened, by the Standard Webhooks specification."""
