"""The description of the HTTP API (OpenAPI 3.1), made from the route table.

Nothing is told twice: paths, roles and gates are rows of the table, request fields are
the tables that handlers check, answers are declared beside the handlers, statuses come
from the reason table.
"""
