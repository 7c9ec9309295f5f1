"""Command lines: `dwserver` (the server) and its subcommands."""
