"""Harness of the tests and the benchmarks. Only fixture modules need pytest."""
