"""Who sends a request, and whether the route lets that principal in."""
