"""Use cases: they load a slice, call a decision, commit, and perform the effects."""
