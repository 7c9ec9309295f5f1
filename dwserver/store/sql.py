"""SQL in files: named blocks, one purpose line each (``style.md §6.2``).

A block begins with ``-- name: verb_noun`` and a comment line that says what it is for;
it ends where the next one begins. The names are the same in every dialect.
"""

from __future__ import annotations

from importlib.resources import files

_NAME = "-- name: "


class SqlFileError(Exception):
    """A ``.sql`` file of the package is not in the form described above."""


def load_blocks(package: str) -> dict[str, str]:
    """All blocks below ``<package>/sql`` by name, without their comment line."""
    blocks: dict[str, str] = {}
    folder = files(package).joinpath("sql")
    for file in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if not file.name.endswith(".sql"):
            continue
        for name, text in parse_blocks(file.read_text("utf-8")).items():
            if name in blocks:
                raise SqlFileError(f"{file.name}: {name} is defined twice")
            blocks[name] = text
    return blocks


def parse_blocks(text: str) -> dict[str, str]:
    """The blocks of one file; what precedes the first one is commentary."""
    blocks: dict[str, str] = {}
    for chunk in f"\n{text}".split(f"\n{_NAME}")[1:]:
        name, _, rest = chunk.partition("\n")
        comment, _, body = rest.partition("\n")
        name, body = name.strip(), body.strip().removesuffix(";").rstrip()
        if not comment.startswith("-- ") or not body:
            raise SqlFileError(f"{name}: a comment line and a statement must follow")
        if name in blocks:
            raise SqlFileError(f"{name} is defined twice")
        blocks[name] = body
    return blocks
