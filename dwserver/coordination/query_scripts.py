"""The Lua scripts of query tasks (``coordination/lua``)."""

from __future__ import annotations

from importlib.resources import files
from typing import Final

from dwserver.coordination.redis_connection import Script

_FOLDER = files("dwserver.coordination").joinpath("lua")


def _script(name: str) -> Script:
    texts = (
        _FOLDER.joinpath(f"{each}.lua").read_text("utf-8")
        for each in ("query_common", name)
    )
    return Script.of("\n".join(texts))


ASK: Final = _script("query_ask")
LEASE: Final = _script("query_lease")
GIVE_BACK: Final = _script("query_give_back")
SETTLE: Final = _script("query_settle")
FINISH: Final = _script("query_finish")
PENDING: Final = _script("query_pending")
