"""Exported histories as documents (``spec/history-bundles.md``): canonical text,
integrity, and what is told of each payload."""
