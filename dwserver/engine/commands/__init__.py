"""Commands of a workflow-task completion, one file for each family.

A command record is what a validated request asks for; ``apply`` of its family records
it in the draft. ``batch`` decides about the list as a whole.
"""
