"""Matching: pollers that wait in this process, hand-off to them, claims for them.

An idle poller costs memory, no query. A task that is created while a suitable poller
waits is written already leased to it (hand-off). Otherwise a *claim round* takes ready
tasks for all waiting pollers of the queues concerned with one statement; it runs when
something was heard of a queue and, whatever was heard, once in every sweep interval.
Correctness rests on the sweep alone.
"""
