"""Background work of a process: each module builds one named loop around a service."""
