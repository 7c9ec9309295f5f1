"""``verify_bundles.py < texts.json``: what the SDK's own verifier says of bundles.

Input: a list of the JSON texts of bundles. Prints the report of each.
"""

from __future__ import annotations

import json
import sys

from durable_workflow.history_bundle_verify import verify_bundle_json

json.dump([verify_bundle_json(text) for text in json.load(sys.stdin)], sys.stdout)
