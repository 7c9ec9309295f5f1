"""Requests that an ingress passes on to the node that answers them."""
