import pytest

pytest.importorskip("lightning", reason="the tests of zenith.torch.lightning need Lightning")

# Lightning's own notices: about workers, small data sets, its own use of torch and of its parts.
IGNORED = [
    "ignore:.*does not have many workers",
    "ignore:.*The number of training batches",
    "ignore:.*LeafSpec.*is deprecated",
    "ignore:.*pkg_resources",
    "ignore:.*Checkpoint directory",
    "ignore:You're resuming from a checkpoint",
]


def pytest_collection_modifyitems(items):
    for item in items:
        if "torch_lightning" in str(item.path):
            for ignored in IGNORED:
                item.add_marker(pytest.mark.filterwarnings(ignored))


@pytest.fixture(autouse=True, scope="session")
def one_thread():
    import torch

    torch.set_num_threads(1)
