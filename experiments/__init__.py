"""The evidence: ZENITH against other learning rates on real data (`python -m experiments -h`)."""
