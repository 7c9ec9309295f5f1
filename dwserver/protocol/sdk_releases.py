"""What a release of an official SDK cannot do, by the version that it registers with.

Source: ``spec/client-compatibility.md`` §9.2 and R13, ``decisions.md`` 20e. Only for
what the worker protocol version does not tell.
"""

from __future__ import annotations

import re
from typing import Final

_PYTHON_SDK: Final = re.compile(r"durable-workflow-python/(\d+)\.(\d+)\.(\d+)")
_FIRST_TO_REPLAY_FAILED_ACTIVITIES: Final = (0, 4, 30)


def replays_failed_activities(sdk_version: str | None) -> bool:
    """Whether replay takes notice of ``ActivityFailed`` and ``ActivityTimedOut``.

    Unknown SDKs do.
    """
    match = _PYTHON_SDK.match(sdk_version or "")
    if match is None:
        return True
    release = tuple(int(number) for number in match.groups())
    return release >= _FIRST_TO_REPLAY_FAILED_ACTIVITIES
