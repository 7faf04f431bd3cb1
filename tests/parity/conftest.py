from collections.abc import Iterator

import pytest

for name in ("torch", "jax", "optax", "keras", "tensorflow", "sklearn"):
    pytest.importorskip(name, reason=f"the tests of parity need {name} beside the others")

from tests.parity.worker import Workers  # noqa: E402


@pytest.fixture(scope="session")
def workers() -> Iterator[Workers]:
    with Workers() as started:
        yield started
