"""Modules as a deployment would hand them to an execution node, good and bad."""
