"""The evidence: ZENITH against other learning rates, on real data; see `python -m experiments -h`."""
