"""What the user can put right."""


class Refusal(Exception):
    """A request that cannot be met as it stands; its message is the one line that the user sees."""
