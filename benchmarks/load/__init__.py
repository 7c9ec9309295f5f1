"""The load generator: a worker and clients that speak only HTTP, in one process."""
