"""The order of the images and the numbers of their augmentation."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from experiments.tasks._order import held_out, image_generator, indices

SEEDS = st.integers(0, 2**40)


@given(st.integers(1, 60), st.data(), SEEDS)
def test_an_epoch_shows_no_image_twice_and_leaves_out_less_than_a_batch(
    count: int, data: st.DataObject, seed: int
) -> None:
    batch = data.draw(st.integers(1, count))
    epoch = data.draw(st.integers(0, 5))
    steps = count // batch
    shown = [indices(count, batch, seed, epoch * steps + step) for step in range(steps)]
    together = np.concatenate(shown)
    assert len(set(together.tolist())) == steps * batch > count - batch
    assert together.min() >= 0
    assert together.max() < count


def test_epochs_and_seeds_have_orders_of_their_own() -> None:
    orders = {
        tuple(indices(50, 50, seed, epoch).tolist()) for seed in range(20) for epoch in range(20)
    }
    assert len(orders) == 400


def test_every_place_is_taken_by_every_image_as_often() -> None:
    first = [indices(10, 1, seed, 0)[0] for seed in range(4000)]
    counts = np.bincount(first, minlength=10)
    # Chi-squared of 9 degrees of freedom: above 27.9 once in a thousand.
    assert ((counts - 400) ** 2 / 400).sum() < 27.9


def test_every_image_at_every_step_has_numbers_of_its_own() -> None:
    drawn = {
        image_generator(seed, step, index).random()
        for seed in range(8)
        for step in range(8)
        for index in range(8)
    }
    assert len(drawn) == 512


@given(st.lists(st.integers(0, 4), min_size=1, max_size=200), st.floats(0, 0.5))
def test_each_class_is_held_out_in_its_share(labels: list[int], share: float) -> None:
    of_class = np.array(labels)
    kept, held = held_out(of_class, share)
    assert sorted([*kept, *held]) == list(range(len(labels)))
    for label in set(labels):
        members = labels.count(label)
        taken = int((of_class[held] == label).sum())
        assert taken < members
        assert abs(taken - share * members) <= 1
        assert taken > 0 or members == 1
    again = held_out(of_class, share)
    assert np.array_equal(kept, again[0])
    assert np.array_equal(held, again[1])
