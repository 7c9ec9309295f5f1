"""Durable storage: one meaning, two databases.

``api`` is the contract, ``combiner`` the group commit, ``postgres`` and ``sqlite``
the adapters. Nothing above this package may know which database runs below.
"""
