"""A module that says nothing about what a worker should run."""
