"""Composition: settings become a running process. Nothing else builds services."""
