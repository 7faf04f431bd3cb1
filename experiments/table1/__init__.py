"""Table 1 of the paper on this machine: what each automatic method adds to a step of SGD."""
