"""What can go wrong with a local cluster, in words for the user."""

from __future__ import annotations


class LocalClusterError(Exception):
    """The text says what to do or what happened."""
