"""The paid call, and an adapter for each thing that is asked of the API."""
