"""Handlers of the operator API (``spec/control-plane-api.md``), a file for each
family."""
