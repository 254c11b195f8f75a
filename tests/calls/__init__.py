"""Tests of the paid call: one suite over all adapters, against real sockets and a real database."""
