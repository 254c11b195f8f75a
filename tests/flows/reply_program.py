"""The command line in a process of its own, whose stdout is a pipe."""

from flows.cli import main

main()
