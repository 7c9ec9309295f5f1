"""Handlers of ``/api/worker`` (``spec/worker-protocol.md``), a file for each family."""
