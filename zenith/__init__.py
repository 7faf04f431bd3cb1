"""ZENITH: a learning rate that follows the history of the gradient norm (arXiv 2601.15212).

Importing `zenith` or `zenith.core` imports no deep-learning framework. The front ends are
`zenith.torch`, `zenith.keras` and `zenith.optax`.
"""

__version__ = "0.1.0"

__all__ = ["__version__"]
