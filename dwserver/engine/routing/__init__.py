"""Rules about who gets which task."""
