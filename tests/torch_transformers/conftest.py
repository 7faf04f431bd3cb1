import pytest

pytest.importorskip("transformers", reason="the tests of zenith.torch.transformers need it")


@pytest.fixture(autouse=True, scope="session")
def one_thread():
    import torch

    torch.set_num_threads(1)
