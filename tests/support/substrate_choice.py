"""Which PostgreSQL and Redis the tests run on (decision 26).

``DW_TEST_SUBSTRATE``: ``local`` (binaries of this machine), ``containers``, or
``auto`` (local, else containers). ``python -m tests.support.substrate_choice`` prints
the choice, or says what is missing and exits 1.
"""

from __future__ import annotations

import os
import sys
from enum import StrEnum

from dwserver.cli.local_cluster import binaries
from tests.support import containers
from tests.support.environment import SUBSTRATE_VARIABLE


class Substrate(StrEnum):
    LOCAL = "local"
    CONTAINERS = "containers"


class NoSubstrate(Exception):
    """Neither is possible here; the text lists what is missing."""


NO_ENGINE = "a Docker engine that answers 'docker info'"
WAYS_OUT = """Any one of these will do:
  - run ./scripts/test as root on Debian: it installs what is missing
  - apt-get install postgresql redis-server
  - start a Docker engine"""


def choose() -> Substrate:
    """The substrate of this run; NoSubstrate says what is missing."""
    wanted = os.environ.get(SUBSTRATE_VARIABLE, "auto")
    if wanted not in {"auto", *Substrate}:
        raise NoSubstrate(
            f"{SUBSTRATE_VARIABLE} is '{wanted}'; it can be auto, local or containers"
        )
    lacking: list[str] = []
    if wanted in {"auto", Substrate.LOCAL}:
        lacking += binaries.missing()
        if not lacking:
            return Substrate.LOCAL
    if wanted in {"auto", Substrate.CONTAINERS}:
        if containers.engine_answers():
            return Substrate.CONTAINERS
        lacking.append(NO_ENGINE)
    listed = "\n".join(f"  - {item}" for item in lacking)
    text = f"The tests need a real PostgreSQL and Redis. Missing:\n{listed}\n"
    if wanted == "auto":
        raise NoSubstrate(text + WAYS_OUT)
    raise NoSubstrate(f"{text}({SUBSTRATE_VARIABLE} is '{wanted}')")


def main() -> None:
    try:
        print(choose())
    except NoSubstrate as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
