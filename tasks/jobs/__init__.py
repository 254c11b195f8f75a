"""The kinds of job, each with the same files: settings, plan, run, publish."""
