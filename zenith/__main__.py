"""`python -m zenith` prints the installed version."""

from zenith import __version__

print(f"zenith {__version__}")
