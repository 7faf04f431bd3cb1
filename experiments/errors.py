"""What the user can put right, told in one line."""


class RequestError(Exception):
    """A request that cannot be met as it stands; the message is the line that the user sees."""
