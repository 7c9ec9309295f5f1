"""SQL in files: named blocks, one purpose line each (``style.md §6.2``).

A block begins with ``-- name: verb_noun`` and a comment line that says what it is for;
it ends where the next one begins. The names are the same in every dialect; what is
written the same in all of them stands once, in ``store/sql``.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib.resources import files

_NAME = "-- name: "
_COMMON = "dwserver.store"


class SqlFileError(Exception):
    """A ``.sql`` file of the package is not in the form described above."""


def load_blocks(package: str) -> dict[str, str]:
    """All blocks of a dialect by name, without their comment line: those below
    ``<package>/sql`` and those of all dialects."""
    blocks: dict[str, str] = {}
    for file_name, text in (*_sql_files(_COMMON), *_sql_files(package)):
        for name, block in parse_blocks(text).items():
            if name in blocks:
                raise SqlFileError(f"{file_name}: {name} is defined twice")
            blocks[name] = block
    return blocks


def _sql_files(package: str) -> Iterator[tuple[str, str]]:
    """Name and text of each file, in the order of the names."""
    folder = files(package).joinpath("sql")
    for file in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if file.name.endswith(".sql"):
            yield file.name, file.read_text("utf-8")


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
