"""HTTP, and only here: the route table, the checks in front of it, the handlers."""
