"""The error that all scripts here report without a traceback."""


class InputError(Exception):
    """What the user gave cannot be used; the message names the place, what was expected and what was found."""
