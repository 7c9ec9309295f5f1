"""What pruning old runs costs those who work meanwhile."""
