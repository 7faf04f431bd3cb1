import jax
import pytest


@pytest.fixture
def x64():
    """64-bit types; the flag is the one spelling that every JAX has."""
    jax.config.update("jax_enable_x64", True)
    yield
    jax.config.update("jax_enable_x64", False)
