"""A run that is saved, copied or moved continues bit for bit."""

import copy
import importlib.util
import json
import os
import pickle
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from tests.keras.conftest import BACKEND
from tests.keras.problem import ETA_0, net
from tests.keras.resume import EPOCHS, HALF, WINDOW, new_model, result, train
from zenith.keras import Zenith, ZenithSGD, attach, export_state, import_state

OTHERS = [b for b in ("tensorflow", "jax", "torch") if b != BACKEND]


class Interrupt(keras.callbacks.Callback):
    def on_epoch_begin(self, epoch, logs=None):
        if epoch == HALF:
            raise KeyboardInterrupt


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A run that is saved in the middle in every way, and what it had then and at its end."""
    folder = tmp_path_factory.mktemp("saved")
    model = new_model()
    train(model, 0, HALF, Zenith(window=WINDOW))
    middle = result(model, [])
    model.save(folder / "run.keras")
    model.save_weights(folder / "run.weights.h5")
    paths = {
        "keras": folder / "run.keras",
        "weights, attached, not built": folder / "run.weights.h5",
        "weights, ZenithSGD, built": folder / "run.weights.h5",
        "portable": folder / "run.json",
        "BackupAndRestore": folder / "backup",
    }
    paths["portable"].write_text(json.dumps(export_state(model.optimizer)))
    if BACKEND == "tensorflow":
        import tensorflow as tf

        checkpoint = tf.train.Checkpoint(model=model, optimizer=model.optimizer)
        paths["tf.train.Checkpoint"] = checkpoint.save(folder / "ckpt")
    etas = train(model, HALF, EPOCHS)
    interrupted = new_model()
    backup = keras.callbacks.BackupAndRestore(paths["BackupAndRestore"], delete_checkpoint=False)
    with pytest.raises(KeyboardInterrupt):
        train(interrupted, 0, EPOCHS, Zenith(window=WINDOW), backup, Interrupt())
    return paths, middle, result(model, etas)


def in_a_fresh_process(how: str, path, folder: Path, backend: str = BACKEND) -> dict:
    out = folder / f"{backend}.json"
    subprocess.run(  # noqa: S603
        [sys.executable, "-W", "ignore", "-m", "tests.keras.resume", how, str(path), str(out)],
        check=True,
        env={**os.environ, "KERAS_BACKEND": backend},
        cwd=Path(__file__).parents[2],
    )
    return json.loads(out.read_text())


@pytest.mark.parametrize(
    "how",
    [
        "keras",
        "weights, attached, not built",
        "weights, ZenithSGD, built",
        "BackupAndRestore",
        "tf.train.Checkpoint",
    ],
)
def test_resume_in_a_fresh_process_is_bit_exact(how, saved, tmp_path):
    paths, middle, end = saved
    if how not in paths:
        pytest.skip("tf.train.Checkpoint belongs to TensorFlow")
    got = in_a_fresh_process(how, paths[how], tmp_path)
    if got["loaded"] is not None:
        assert got["loaded"] == middle
    assert min(end["etas"]) < 0.9 * ETA_0
    assert got["trained"] == end


@pytest.mark.parametrize("other", OTHERS)
@pytest.mark.parametrize("how", ["keras", "weights, ZenithSGD, built", "portable"])
def test_a_file_of_one_backend_continues_on_another(how, other, saved, tmp_path):
    if importlib.util.find_spec(other) is None:
        pytest.skip(f"{other} is not installed")
    if how == "keras" and other == "torch" and keras.__version__.startswith("3.10."):
        pytest.skip("JAX saves jit_compile=True; torch 2.13 cannot compile Keras 3.10's losses")
    paths, middle, end = saved
    got = in_a_fresh_process(how, paths[how], tmp_path, other)
    assert got["loaded"]["state"] == middle["state"]
    if how != "portable":
        assert got["loaded"] == middle
        np.testing.assert_allclose(got["trained"]["etas"], end["etas"], rtol=0, atol=1e-6)


def deep(thing):
    return copy.deepcopy(thing)


def pickled(thing):
    return pickle.loads(pickle.dumps(thing))  # noqa: S301


@pytest.mark.parametrize("copier", [deep, pickled])
@pytest.mark.parametrize("face", ["callback", "ZenithSGD"])
def test_a_copied_model_continues_bit_for_bit(copier, face):
    model = new_model()
    if face == "ZenithSGD":
        model.compile(ZenithSGD(ETA_0, 0.9, window=WINDOW), "mse")
    train(model, 0, HALF, Zenith(window=WINDOW))
    twin = copier(model)
    assert result(twin, train(twin, HALF, 3)) == result(model, train(model, HALF, 3))


@pytest.mark.parametrize("copier", [deep, pickled])
def test_a_copied_optimizer_continues_bit_for_bit_on_the_same_weights(copier):
    model = new_model()
    train(model, 0, HALF, Zenith(window=WINDOW))
    twin = net()
    twin.set_weights(model.get_weights())
    optimizer = copier(model.optimizer)
    assert isinstance(optimizer, ZenithSGD)
    twin.compile(optimizer, "mse")
    assert result(twin, train(twin, HALF, 3)) == result(model, train(model, HALF, 3))


def test_get_config_holds_eta_0_and_round_trips():
    optimizer = ZenithSGD(0.25, 0.5, True, window=7, min_scale=0.1, spike_factor=3.0, clipnorm=1.0)
    config = optimizer.get_config()
    assert ZenithSGD.from_config(dict(config)).get_config() == config
    restored = keras.optimizers.deserialize(keras.optimizers.serialize(optimizer))
    assert type(restored) is ZenithSGD
    assert restored.get_config() == config
    model = new_model()
    train(model, 0, HALF, Zenith(window=WINDOW))
    assert float(model.optimizer.learning_rate) < ETA_0
    assert model.optimizer.get_config()["learning_rate"] == pytest.approx(ETA_0, rel=1e-7)


def test_a_checkpoint_of_plain_sgd_loads_with_an_empty_window_and_says_so(tmp_path):
    plain = new_model()
    train(plain, 0, 1)
    plain.save_weights(tmp_path / "plain.weights.h5")
    model = new_model()
    attach(model.optimizer, window=WINDOW)
    model.optimizer.build(model.trainable_variables)
    with pytest.warns(UserWarning, match="SGD without ZENITH.*starts empty"):
        model.load_weights(tmp_path / "plain.weights.h5")
    assert export_state(model.optimizer)["norms"] == []
    assert int(model.optimizer.iterations) == int(plain.optimizer.iterations)
    plain_state = [v.numpy().tolist() for v in plain.optimizer.variables]
    assert [v.numpy().tolist() for v in model.optimizer.variables][
        : len(plain_state)
    ] == plain_state


def test_a_checkpoint_with_another_window_is_refused(saved):
    paths, _, _ = saved
    model = new_model()
    attach(model.optimizer, window=WINDOW + 1)
    model.optimizer.build(model.trainable_variables)
    before = export_state(model.optimizer)
    with pytest.raises(ValueError, match=r"window.*Received: window=5 saved, window=6"):
        model.load_weights(paths["keras"].with_name("run.weights.h5"))
    assert export_state(model.optimizer) == before


def test_the_portable_state_is_that_of_the_core(saved):
    _, middle, _ = saved
    state = middle["state"]
    assert json.loads(json.dumps(state)) == state
    assert state["window"] == WINDOW
    assert len(state["norms"]) == WINDOW
    model = new_model()
    attach(model.optimizer, window=WINDOW)
    assert export_state(model.optimizer)["norms"] == []  # before it is built
    with pytest.raises(ValueError, match=r"build.*Received: optimizer='[^']+', not built"):
        import_state(model.optimizer, state)
    model.optimizer.build(model.trainable_variables)
    for wrong, said in (
        ({**state, "window": 6}, r"'window' must be 5.*Received: 6"),
        ({**state, "peak": 0.0}, r"'peak' must be at least.*Received: "),
        ({"format": 1}, r"Missing: \['window', "),
    ):
        with pytest.raises(ValueError, match=said):
            import_state(model.optimizer, wrong)
        assert export_state(model.optimizer)["norms"] == []
    import_state(model.optimizer, state)
    assert export_state(model.optimizer) == state


def test_export_and_import_reach_into_a_loss_scale_optimizer():
    model = net()
    inner = ZenithSGD(ETA_0, window=WINDOW)
    model.compile(keras.optimizers.LossScaleOptimizer(inner, initial_scale=4.0), "mse")
    train(model, 0, 1)
    state = export_state(model.optimizer)
    assert state == export_state(inner)
    other = ZenithSGD(ETA_0, window=WINDOW)
    other.build(model.trainable_variables)
    import_state(other, state)
    assert export_state(other) == state
    with pytest.raises(TypeError, match=r"not attached.*Received: optimizer="):
        export_state(keras.optimizers.SGD(0.1))
