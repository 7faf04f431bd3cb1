"""The log of a fit holds every gradient norm, and the callback stays asynchronous."""

import keras
import numpy as np
import pytest

from tests.keras.problem import BATCH, ETA_0, Reference, batches, data, net
from zenith.diagnose import diagnose
from zenith.keras import Zenith, ZenithLogger, ZenithSGD
from zenith.log import LogWriter, read_log

STEPS = 16
FIT = {"batch_size": BATCH, "shuffle": False, "verbose": 0}


def fitted(*callbacks, epochs=4, model=None, optimizer=None):
    if model is None:
        model = net()
        model.compile(optimizer or keras.optimizers.SGD(ETA_0, momentum=0.9), "mse")
    history = model.fit(*data(STEPS), epochs=epochs, callbacks=[*callbacks], **FIT)
    return model, history.history


def reference(window, epochs=4):
    result = Reference(window, momentum=0.9)
    for _ in range(epochs):
        result.train(*data(STEPS))
    return result


def assert_is_the_run(log, window, epochs=4):
    expected, run = reference(window, epochs), log.complete()
    assert run.step.tolist() == [*range(1, STEPS * epochs + 1)]
    np.testing.assert_allclose(run.grad_norm, expected.norms, rtol=1e-4)
    np.testing.assert_allclose(run.lr, expected.etas, atol=1e-6)
    assert min(expected.etas) < 0.7 * ETA_0


def test_the_norm_of_every_step_though_it_is_written_by_the_epoch(tmp_path):
    path = tmp_path / "zenith.csv"
    _, history = fitted(Zenith(window=20, log=path))
    log = read_log(path)
    assert_is_the_run(log, 20)
    at = np.isfinite(log.loss)
    assert log.step[at].tolist() == [16, 32, 48, 64]
    assert log.loss[at] == pytest.approx(history["loss"], rel=1e-6)
    assert log.lr[at] == pytest.approx(history["learning_rate"], rel=1e-6)


def test_a_second_fit_continues_the_log(tmp_path):
    path = tmp_path / "zenith.csv"
    model, _ = fitted(Zenith(window=20, log=path), epochs=2)
    fitted(Zenith(window=20, log=path), epochs=2, model=model)
    assert_is_the_run(read_log(path), 20)


def test_epochs_longer_than_the_window_lose_norms_and_the_log_says_so(tmp_path):
    path = tmp_path / "zenith.csv"
    fitted(Zenith(window=5, log=path))
    log = read_log(path)
    assert log.lost.tolist() == [11, 0, 0, 0, 0] * 4
    expected = reference(5)
    at = log.step - 1
    np.testing.assert_allclose(log.grad_norm, np.array(expected.norms)[at], rtol=1e-4)
    known = np.isfinite(log.mean)
    assert log.lr[known] == pytest.approx(np.array(expected.etas)[15::16], abs=1e-6)
    assert "sampled" in [finding.code for finding in diagnose(path)]


@pytest.mark.parametrize("every", [1, 5])
def test_the_logger_has_every_norm_of_long_epochs_too(every, tmp_path):
    path = tmp_path / "zenith.csv"
    model, _ = fitted(Zenith(window=5), ZenithLogger(path, every=every))
    assert_is_the_run(read_log(path), 5)
    expected = reference(5)
    for mine, theirs in zip(model.get_weights(), expected.weights, strict=True):
        np.testing.assert_allclose(mine, theirs, atol=1e-5)  # looking changes nothing


def test_the_last_steps_are_written_when_the_training_ends(tmp_path):
    path = tmp_path / "zenith.csv"
    fitted(Zenith(window=50), ZenithLogger(path, every=50), epochs=1)
    assert len(read_log(path)) == STEPS


def test_with_a_log_asynchronous_dispatch_stays_on(tmp_path):
    callbacks = keras.callbacks.CallbackList([Zenith(log=tmp_path / "zenith.csv")])
    assert callbacks._async_train == keras.callbacks.CallbackList([])._async_train
    assert not keras.callbacks.CallbackList([ZenithLogger(tmp_path / "b.csv")])._async_train


def test_a_loop_of_ones_own_writes_the_optimizer(tmp_path):
    model, optimizer = net(), ZenithSGD(ETA_0, momentum=0.9, window=5)
    model.compile(optimizer, "mse")
    with LogWriter(tmp_path / "zenith.csv") as log:
        for _ in range(4):
            for x, y in batches(*data(STEPS)):
                model.train_on_batch(x, y)
                log.write(optimizer)
    assert_is_the_run(read_log(tmp_path / "zenith.csv"), 5)


def test_an_optimizer_that_is_not_built_has_nothing_to_write():
    snapshot = ZenithSGD(ETA_0, window=5).snapshot()
    assert (snapshot.step, snapshot.lr, int(snapshot.state.count)) == (0, pytest.approx(ETA_0), 0)


def test_inside_a_loss_scale_optimizer(tmp_path):
    path = tmp_path / "zenith.csv"
    scaled = keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(ETA_0, momentum=0.9))
    fitted(Zenith(window=20, log=path), optimizer=scaled)
    log = read_log(path)
    assert log.step[-1] == STEPS * 4
    np.testing.assert_allclose(log.grad_norm, reference(20).norms, rtol=1e-3)


def test_accumulated_batches_are_one_step_of_the_log(tmp_path):
    path = tmp_path / "zenith.csv"
    sgd = keras.optimizers.SGD(ETA_0, momentum=0.9, gradient_accumulation_steps=4)
    fitted(Zenith(window=20, log=path), optimizer=sgd)
    assert read_log(path).step.tolist() == [*range(1, STEPS + 1)]


def test_a_file_of_another_kind_is_refused_before_the_first_step(tmp_path):
    path = tmp_path / "zenith.csv"
    path.write_text("epoch,loss\n")
    for callback in (Zenith(window=5, log=path), ZenithLogger(path)):
        with pytest.raises(ValueError, match="path must be a new file, or a log"):
            fitted(Zenith(window=5), callback)
    assert path.read_text() == "epoch,loss\n"


def test_the_logger_without_zenith_says_what_is_missing(tmp_path):
    with pytest.raises(TypeError, match="ZENITH is not attached"):
        fitted(ZenithLogger(tmp_path / "zenith.csv"))
    assert not [*tmp_path.iterdir()]


def test_keras_csv_logger_and_tensorboard_are_read_back(tmp_path):
    csv = keras.callbacks.CSVLogger(tmp_path / "log.csv")
    _, history = fitted(Zenith(window=20), csv)
    log = read_log(tmp_path / "log.csv")
    assert (log.unit, log.step.tolist()) == ("epoch", [0, 1, 2, 3])
    for name, column in {"lr": "learning_rate", "grad_norm": "grad_norm", "loss": "loss"}.items():
        assert getattr(log, name) == pytest.approx(history[column], rel=1e-6)


def test_keras_tensorboard_is_read_back(tmp_path):
    pytest.importorskip("tensorboard", reason="needs tensorboard")
    pytest.importorskip("tensorflow", reason="Keras writes event files with TensorFlow")
    _, history = fitted(Zenith(window=20), keras.callbacks.TensorBoard(tmp_path))
    log = read_log(tmp_path)
    assert (log.unit, log.step.tolist()) == ("epoch", [0, 1, 2, 3])
    for name, column in {"lr": "learning_rate", "grad_norm": "grad_norm", "loss": "loss"}.items():
        assert getattr(log, name) == pytest.approx(history[column], rel=1e-6)
