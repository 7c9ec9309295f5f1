"""`python -m dwserver`."""

from __future__ import annotations

from dwserver.cli.main import main

if __name__ == "__main__":
    main(prog_name="dwserver")
