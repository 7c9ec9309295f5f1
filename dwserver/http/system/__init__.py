"""Routes under ``/api/system``: what operators look into and set going by hand."""
