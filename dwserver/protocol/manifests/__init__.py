"""Contract manifests that the discovery document publishes.

Each module holds one manifest. Clients decide compatibility from the schema and
version of these, never from the version of the build.
"""
