"""``dwserver cluster``: a whole split cluster on this machine, for development and for
rehearsing failures. Nothing here runs on a server."""
