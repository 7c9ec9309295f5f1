"""What a runner leaves behind: a JSON document, and Markdown for people beside it."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import orjson

from benchmarks.hardware import Hardware, describe_hardware
from dwserver import __version__

OUT = Path(__file__).parent / "out"


@dataclass(frozen=True, slots=True, kw_only=True)
class Circumstances:
    """When, of what and on what something was measured; ``measured_at`` is a day,
    UTC."""

    measured_at: str
    version: str
    hardware: Hardware

    @classmethod
    def of_now(cls, data_folder: Path) -> Self:
        """Blocks for some seconds to see how quiet the machine is."""
        return cls(
            measured_at=datetime.now(UTC).date().isoformat(),
            version=__version__,
            hardware=describe_hardware(data_folder),
        )

    def document(self) -> dict[str, Any]:
        return asdict(self)

    def heading(self, title: str) -> list[str]:
        """The first lines of the Markdown."""
        facts = [f"dwserver {self.version}", *self.hardware.lines()]
        return [f"# {title}, {self.measured_at}", "", *(f"- {fact}" for fact in facts)]


def add_json_option(parser: argparse.ArgumentParser, name: str) -> None:
    """``--json``: where :func:`write_result` writes."""
    parser.add_argument(
        "--json",
        type=Path,
        default=OUT / name,
        help="result file; the Markdown goes beside it as .md",
    )


def write_result(path: Path, document: Mapping[str, Any], markdown: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    text = orjson.dumps(document, option=orjson.OPT_INDENT_2)
    path.write_bytes(text + b"\n")
    path.with_suffix(".md").write_text(markdown, encoding="utf-8")
