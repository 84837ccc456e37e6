"""The error that is reported without a traceback."""


class InputError(Exception):
    """What the user gave cannot be used, or a part of the cluster cannot do its work; the message names the place, what
    was expected and what was found. Raised on workers too: it has to survive pickling, so it is its message only."""


class UsageError(InputError):
    """Options are wrong."""
