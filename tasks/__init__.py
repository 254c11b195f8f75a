"""What is done to a recording, step by step; plain functions that know nothing of Prefect."""
