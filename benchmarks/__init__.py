"""Workloads, a load generator, the floor of the machine, and their runner."""
