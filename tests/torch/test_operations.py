"""What Zenith adds to a step, counted: benchmarks/operations.py, held to its promise."""

import pytest
import torch

from benchmarks import shapes
from benchmarks.operations import added
from benchmarks.step_cost import added_bytes


@pytest.mark.parametrize("observed", [False, True], ids=["measured", "observed"])
@pytest.mark.parametrize("layers", [shapes.mlp, shapes.vgg19], ids=["mlp", "vgg19"])
def test_a_tensor_learning_rate_adds_no_synchronisation_and_a_float_one_adds_one(layers, observed):
    assert added(layers, torch.tensor, observed)[1] == 0
    assert added(layers, float, observed)[1] == 1


def test_what_is_observed_is_not_computed_again():
    assert added(shapes.vgg19, float, observed=True)[0] == 1  # the read itself
    assert added(shapes.vgg19, torch.tensor, observed=True) == added(
        shapes.mlp, torch.tensor, observed=True
    )


@pytest.mark.parametrize("kind", [float, torch.tensor], ids=["float", "tensor"])
def test_it_holds_at_most_8_kb_whatever_the_model(kind):
    sizes = [added_bytes(layers, kind) for layers in (shapes.mlp, shapes.resnet50)]
    assert min(sizes) > 2000  # 500 float32 numbers at least
    assert max(sizes) <= 8192
    assert abs(sizes[0] - sizes[1]) < 200
