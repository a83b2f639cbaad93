"""Errors a user can cause. Each says what was given, what was expected and what to do, in one line."""


class EarsightError(ValueError):
    """Anything a user can cause and mend. The command line prints it without a traceback, exit status 2."""


class MediaError(EarsightError):
    """A file, address or array that cannot be used as asked."""


class PartsError(EarsightError):
    """Pretrained parts that cannot be had or are not what they should be."""


class PromptError(EarsightError):
    """A conversation that cannot be turned into a prompt."""
