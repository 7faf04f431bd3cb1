"""The Keras on the pages runs, line for line, on each backend."""

import keras
import numpy as np
import pytest

import zenith.keras
from tests.pages import before_and_after, pages_to_run, run
from zenith.core import save
from zenith.keras import ZenithSGD, export_state


def scope():
    model = keras.Sequential(
        [keras.layers.Input((4,)), keras.layers.Dense(3, activation="softmax")]
    )
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(64, 4)).astype("float32"), rng.integers(0, 3, (64, 1))
    optimizer = ZenithSGD(0.1, window=500)
    optimizer.build(model.trainable_variables)
    return {
        "keras": keras,
        "zenith": zenith,
        "model": model,
        "x": x,
        "y": y,
        "optimizer": optimizer,
    }


@pytest.mark.parametrize("page", pages_to_run("keras"))
def test_the_lines_to_copy_run(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = scope()
    save(export_state(names["optimizer"]), "zenith.json")  # of a run that went before
    run(page, "keras", names)
    optimizer = getattr(names["model"], "optimizer", None) or names["optimizer"]
    assert isinstance(optimizer, ZenithSGD)


@pytest.mark.parametrize(
    "pair", before_and_after("keras"), ids=["cosine", "step", "warm", "plateau"]
)
def test_the_old_lines_and_the_new_ones_of_a_migration_run(pair):
    followed = []
    for lines in pair:
        names = scope()
        exec(lines, names)  # noqa: S102
        followed.append(isinstance(names["model"].optimizer, ZenithSGD))
    assert followed == [False, True]
