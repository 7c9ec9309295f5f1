"""Verbs of a run's life outside the commands of a completion, one file each."""
