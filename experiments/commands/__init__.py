"""One file a command, each with a function `add_to` that adds it to the command line."""
