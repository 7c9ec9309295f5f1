"""Which roles a process hosts, what it publishes about that, what it refuses.

Six roles are bundled into process classes, and these into three shapes. The bundle
of a process decides which routes and loops it runs; it is never a second product
(``spec/topology-and-operations.md`` §1.10 and §2.1, ``architecture.md`` §5).
"""
