import pytest

pytest.importorskip("accelerate", reason="these tests need Accelerate")


@pytest.fixture(autouse=True, scope="session")
def one_thread():
    import torch

    torch.set_num_threads(1)
