import pytest

torch = pytest.importorskip("torch", reason="the tests of zenith.torch need PyTorch")


@pytest.fixture(autouse=True, scope="session")
def one_thread():
    # The nets are tiny; more threads only wait for each other.
    torch.set_num_threads(1)
