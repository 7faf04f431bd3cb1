"""Every task, at both scales, on a few generated images."""

import pickle
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from experiments.errors import RequestError
from experiments.tasks import find
from experiments.tasks._order import indices
from experiments.tasks._prefetch import prefetched
from experiments.tasks._task import Scale
from tests.vision.tiny import BATCH, CLASSIFICATION, DETECTION, model, problem

EVERY_TASK = pytest.mark.parametrize(("name", "scale"), CLASSIFICATION + DETECTION)
CLASSIFIERS = pytest.mark.parametrize(("name", "scale"), CLASSIFICATION)
DETECTORS = pytest.mark.parametrize(("name", "scale"), DETECTION)
PAPER = pytest.mark.parametrize("name", [n for n, s in CLASSIFICATION + DETECTION if s == "paper"])


def tensors(batch: Any) -> list[Tensor]:
    """Every tensor of a minibatch, however it is nested."""
    if isinstance(batch, Tensor):
        return [batch]
    parts = batch.values() if isinstance(batch, dict) else batch
    return [tensor for part in parts for tensor in tensors(part)]


def same(a: Any, b: Any) -> bool:
    a, b = tensors(a), tensors(b)
    return len(a) == len(b) and all(torch.equal(x, y) for x, y in zip(a, b, strict=True))


@EVERY_TASK
def test_a_minibatch_is_a_pure_function_of_seed_and_step(
    name: str, scale: Scale, data: Path
) -> None:
    opened = problem(name, scale, data)
    state = torch.get_rng_state()
    first = opened.batch(3, 1)
    opened.batch(3, 0), torch.rand(5)
    torch.set_rng_state(state)
    again = problem(name, scale, data).batch(3, 1)
    assert torch.equal(torch.get_rng_state(), state)
    assert same(first, again)
    assert not same(first, opened.batch(4, 1))
    assert not same(first, opened.batch(3, 0))
    # The same images come back in the next epoch, in another order or otherwise changed.
    assert not same(first, opened.batch(3, 1 + opened.steps_per_epoch))


@pytest.mark.parametrize("name", ["cifar10", "tiny-imagenet"])
def test_augmentation_is_another_for_each_seed_step_and_image(name: str, data: Path) -> None:
    count = len(problem(name, "paper", data).trained_on)
    opened = replace(find(name, "paper"), batch=count, partial=True).open(data)

    def by_image(seed: int, step: int) -> Tensor:
        """The whole training set, image by image, as that step changes it."""
        return opened.batch(seed, step)[0][np.argsort(indices(count, count, seed, step))]

    first = by_image(0, 0)
    for other in (by_image(1, 0), by_image(0, 1)):
        changed = [not torch.equal(a, b) for a, b in zip(first, other, strict=True)]
        assert np.mean(changed) > 0.9  # of 162 windows two are the same now and then


@EVERY_TASK
def test_the_parts_of_a_minibatch_are_the_whole(name: str, scale: Scale, data: Path) -> None:
    opened = problem(name, scale, data)
    whole = opened.batch(0, 2)
    halves = [opened.batch(0, 2, part=slice(half, BATCH, 2)) for half in (0, 1)]
    for half, (images, labels) in enumerate(halves):
        assert same(images, whole[0][half::2])
        assert same(labels, whole[1][half::2])


@EVERY_TASK
def test_worker_processes_make_the_same_minibatches(name: str, scale: Scale, data: Path) -> None:
    opened = problem(name, scale, data)
    here = [opened.batch(1, step) for step in (1, 2, 3)]
    there = prefetched(partial(opened.batch, 1), range(1, 4), workers=2)
    assert all(same(a, b) for a, b in zip(here, there, strict=True))
    # Where processes are not forked, the problem is pickled on its way to them.
    assert same(pickle.loads(pickle.dumps(opened)).batch(1, 1), here[0])  # noqa: S301


@EVERY_TASK
def test_a_step_of_sgd_moves_the_weights(name: str, scale: Scale, data: Path) -> None:
    torch.manual_seed(0)
    opened = problem(name, scale, data)
    network = model(opened).train()
    before = {key: weight.detach().clone() for key, weight in network.named_parameters()}
    loss = opened.loss(network, opened.batch(0, 0))
    assert loss.shape == ()
    assert loss.isfinite()
    loss.backward()
    torch.optim.SGD(network.parameters(), lr=0.01).step()
    assert all(weight.grad is not None for weight in network.parameters())
    assert all(weight.isfinite().all() for weight in network.parameters())
    # The scale in front of another BatchNorm has no effect, and not every part of an R-CNN has one
    # of these few people to learn from.
    still = [key for key, weight in network.named_parameters() if torch.equal(weight, before[key])]
    assert len(still) <= len(before) // 10, still


@pytest.mark.parametrize("name", ["tiny-imagenet", "mask-rcnn"])
def test_the_l2_term_is_half_the_squared_norm_of_the_weights(name: str, data: Path) -> None:
    torch.manual_seed(0)
    opened, heavy = problem(name, "laptop", data), problem(name, "laptop", data, l2=1.0)
    network = model(opened).train()
    batch = opened.batch(0, 0)
    losses = []
    for one in (opened, heavy):
        torch.manual_seed(1)  # of dropout, and of the samples that an R-CNN draws
        losses.append(one.loss(network, batch).item())
    norm = sum(weight.detach().double().square().sum().item() for weight in network.parameters())
    assert losses[1] - losses[0] == pytest.approx(norm / 2, rel=1e-4)


@CLASSIFIERS
@pytest.mark.parametrize("split", ["validation", "test"])
def test_a_classifier_is_judged_by_accuracy_and_loss(
    name: str, scale: Scale, split: str, data: Path
) -> None:
    opened = problem(name, scale, data)
    pictures, chosen = opened.splits[split]
    favourite = int(pictures.labels[chosen[0]])

    class AlwaysTheSame(torch.nn.Linear):
        def forward(self, images: Tensor) -> Tensor:
            assert images.shape[1] == 3
            logits = torch.zeros(len(images), opened.task.recipe.classes)
            logits[:, favourite] = 100
            return logits

    metrics = opened.evaluate(AlwaysTheSame(1, 1), split)
    right = sum(label == favourite for label in pictures.labels[chosen].tolist())
    assert set(metrics) == {"accuracy", "loss"}
    assert find(name, scale).metric in metrics
    assert metrics["accuracy"] == right / len(chosen)
    assert metrics["loss"] == pytest.approx(100 * (1 - right / len(chosen)), abs=1e-4)


@EVERY_TASK
def test_a_fresh_network_is_judged_without_changing(name: str, scale: Scale, data: Path) -> None:
    torch.manual_seed(0)
    opened = problem(name, scale, data)
    network = model(opened).eval()
    before = {key: value.clone() for key, value in network.state_dict().items()}
    metrics = opened.evaluate(network, "test")
    assert find(name, scale).metric in metrics
    assert all(0 <= value <= 1 for key, value in metrics.items() if key != "loss")
    assert opened.evaluate(network, "test") == metrics
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())


@pytest.mark.parametrize("name", ["tiny-imagenet", "keypoint-rcnn", "mask-rcnn"])
def test_mixed_precision_trains_and_judges(name: str, data: Path) -> None:
    torch.manual_seed(0)
    opened = problem(name, "laptop", data)
    network = model(opened).train()
    batch = opened.batch(0, 0)
    with torch.autocast("cpu", torch.bfloat16):
        loss = opened.loss(network, batch)
        loss.backward()
        assert loss.isfinite()
        assert loss.dtype == torch.float32
        network.eval()
        assert opened.evaluate(network, "test").keys() >= {opened.task.metric}
    assert all(weight.grad is not None for weight in network.parameters())


@EVERY_TASK
def test_the_splits_share_no_image_and_leave_none_out(name: str, scale: Scale, data: Path) -> None:
    opened = replace(find(name, scale), batch=BATCH, partial=True).open(data)
    held = opened.splits["validation"][1]
    both = [*opened.trained_on.tolist(), *held.tolist()]
    assert len(held) > 0
    assert len(set(both)) == len(both)
    assert opened.images["train"] == len(opened.trained_on)
    assert opened.steps_per_epoch == len(opened.trained_on) // opened.task.batch
    taken = [indices(len(opened.trained_on), BATCH, 0, n) for n in range(opened.steps_per_epoch)]
    assert len(np.unique(taken)) == BATCH * opened.steps_per_epoch


@PAPER
def test_a_part_of_the_published_data_is_taken_on_request_only(name: str, data: Path) -> None:
    with pytest.raises(RequestError, match="--partial takes what is there"):
        find(name, "paper").open(data)
