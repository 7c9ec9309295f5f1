"""Why a node refuses to boot."""


class BootError(Exception):
    """The text says what is wrong and what to do about it."""
