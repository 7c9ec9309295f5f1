"""Configuration: the only place that reads environment variables.

`contract` is the one table of every variable; `settings` turns an environment
into typed frozen values; `audit` classifies what is set; `docs` renders the
table. Only roles/ and cli/ import this package; everything below them is given
plain values.
"""
