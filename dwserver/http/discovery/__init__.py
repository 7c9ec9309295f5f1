"""What a node says about itself: health, readiness, cluster info.

These routes answer on every node, without a version header and without the gates
(``spec/topology-and-operations.md`` §1.1 and §3).
"""
