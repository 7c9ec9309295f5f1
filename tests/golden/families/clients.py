"""What the official Python SDK sends while it runs a parent and its child."""

from __future__ import annotations

from tests.golden.deviations import FAILED_RUN, REGISTERED, Deviation
from tests.golden.families.administration import SEEN_WHOLE, nothing
from tests.golden.families.family import Family

CLUSTER_INFO = {"001 GET /api/cluster/info": SEEN_WHOLE}
OF_A_CHILD = (
    Deviation(
        r"event\.payload\.(memo|search_attributes)",
        "engine §8: taken over from the parent",
        "extra",
    ),
)
ANOTHER_MOMENT = (
    Deviation(
        r"(control_plane\.)?wait_kind",
        "the client looks while the worker is at work; here it is as far as told",
        r"'[\w-]+' there, '[\w-]+' here",
    ),
)
SDK_0_2_0 = Family(
    prepare=nothing,
    otherwise=CLUSTER_INFO,
    deviations=(*REGISTERED, *OF_A_CHILD, *ANOTHER_MOMENT),
)
SDK_0_3_1 = Family(
    prepare=nothing,
    otherwise=CLUSTER_INFO,
    deviations=(*REGISTERED, *OF_A_CHILD, *ANOTHER_MOMENT, *FAILED_RUN),
)
SDK_0_4_0 = Family(
    prepare=nothing,
    otherwise=CLUSTER_INFO,
    deviations=(*REGISTERED, *OF_A_CHILD, *ANOTHER_MOMENT, *FAILED_RUN),
)
