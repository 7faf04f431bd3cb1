"""What a run did, step by step: written by every front end, read from every logger."""

from zenith.log._log import Log as Log
from zenith.log._read import read_log as read_log
from zenith.log._write import LogWriter as LogWriter
from zenith.log._write import Snapshot as Snapshot

__all__ = ["Log", "LogWriter", "Snapshot", "read_log"]
