"""Wake signals, short locks and leases between processes."""
