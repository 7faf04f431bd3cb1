"""The callback beside Keras's other callbacks, layers and tools."""

import csv
import inspect

import keras
import numpy as np
import pytest

from tests.keras.conftest import BACKEND
from tests.keras.problem import BATCH, ETA_0, Etas, Reference, data, net
from zenith.keras import Zenith, ZenithSGD, export_state

FIT = {"batch_size": BATCH, "shuffle": False, "verbose": 0}


def fitted(*callbacks, epochs=4, optimizer=None, **fit):
    model = net()
    model.compile(optimizer or keras.optimizers.SGD(ETA_0, momentum=0.9), "mse")
    x, y = data(16)
    history = model.fit(x, y, epochs=epochs, callbacks=list(callbacks), **{**FIT, **fit})
    return model, history.history


def reference(epochs=4, batches=16, **options) -> Reference:
    result = Reference(5, momentum=0.9, **options)
    for _ in range(epochs):
        result.train(*data(batches))
    return result


def test_the_epoch_logs_show_eta_and_the_last_norm():
    _, history = fitted(Zenith(window=5))
    expected = reference()
    assert history["learning_rate"] == pytest.approx(expected.etas[15::16], abs=1e-6)
    assert history["grad_norm"] == pytest.approx(expected.norms[15::16], rel=1e-4)


def test_asynchronous_dispatch_stays_on():
    # Keras looks for overridden batch hooks; one of them makes every step wait.
    assert not {"on_train_batch_end", "on_batch_end", "on_train_batch_begin"} & set(vars(Zenith))
    callbacks = keras.callbacks.CallbackList([Zenith()])
    assert callbacks._async_train == keras.callbacks.CallbackList([])._async_train


def test_setting_the_learning_rate_to_itself_changes_nothing():
    model, _ = fitted(Zenith(window=5))
    optimizer = model.optimizer
    before = [v.numpy().tobytes() for v in optimizer.variables]
    optimizer.learning_rate = optimizer.learning_rate
    optimizer.learning_rate = float(optimizer.learning_rate)
    assert [v.numpy().tobytes() for v in optimizer.variables] == before


@pytest.mark.parametrize("scale", [1e-30, 0.3, 1.0])
def test_what_is_set_is_read_back(scale):
    optimizer = ZenithSGD(ETA_0, window=1)
    optimizer.build([keras.Variable(np.ones(2, "float32"))])
    optimizer._history[4].assign(scale)
    optimizer.learning_rate = 0.02
    assert float(optimizer.learning_rate) == pytest.approx(0.02, rel=1e-6)


def test_a_scale_of_zero_never_costs_eta_0():
    optimizer = ZenithSGD(ETA_0, window=1)
    optimizer.build([keras.Variable(np.ones(2, "float32"))])
    optimizer._history[4].assign(0.0)
    optimizer.learning_rate = optimizer.learning_rate
    assert optimizer.get_config()["learning_rate"] == pytest.approx(ETA_0)
    optimizer.learning_rate = 0.02
    assert optimizer.get_config()["learning_rate"] == pytest.approx(0.02)


def test_reduce_lr_on_plateau_halves_eta_0():
    plateau = keras.callbacks.ReduceLROnPlateau(
        monitor="loss", factor=0.5, patience=1, min_delta=1e9, min_lr=0.0
    )
    model, history = fitted(Zenith(window=5), plateau)
    # Nothing counts as better than the first epoch: halved after epochs 2, 3 and 4.
    base = model.optimizer.get_config()["learning_rate"]
    assert base == pytest.approx(ETA_0 / 8, rel=1e-6)
    expected = reference(base=lambda i: ETA_0 * [1, 1, 0.5, 0.25][i // 16])
    assert history["learning_rate"] == pytest.approx(expected.etas[15::16], abs=1e-6)
    for mine, theirs in zip(model.get_weights(), expected.weights, strict=True):
        np.testing.assert_allclose(mine, theirs, atol=1e-5)


def test_learning_rate_scheduler_scales_eta_0():
    scheduler = keras.callbacks.LearningRateScheduler(lambda epoch, lr: lr * 0.5 if epoch else lr)
    model, _ = fitted(Zenith(window=5), scheduler)
    expected = reference(base=lambda i: ETA_0 * 0.5 ** (i // 16))
    for mine, theirs in zip(model.get_weights(), expected.weights, strict=True):
        np.testing.assert_allclose(mine, theirs, atol=1e-5)


def test_csv_logger_and_progress_bar_show_eta(tmp_path, capsys):
    _, history = fitted(
        Zenith(window=5), keras.callbacks.CSVLogger(tmp_path / "log.csv"), verbose=2
    )
    with (tmp_path / "log.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [float(row["learning_rate"]) for row in rows] == pytest.approx(history["learning_rate"])
    assert [float(row["grad_norm"]) for row in rows] == pytest.approx(history["grad_norm"])
    shown = capsys.readouterr().out
    assert shown.count("learning_rate:") == 4
    assert shown.count("grad_norm:") == 4


def test_tensorboard_records_eta_in_its_event_file(tmp_path):
    event_accumulator = pytest.importorskip(
        "tensorboard.backend.event_processing.event_accumulator", reason="needs tensorboard"
    )
    pytest.importorskip("tensorflow", reason="Keras writes event files with TensorFlow")
    _, history = fitted(Zenith(window=5), keras.callbacks.TensorBoard(tmp_path))
    events = event_accumulator.EventAccumulator(str(tmp_path / "train"))
    events.Reload()
    import tensorflow as tf

    for name in ("learning_rate", "grad_norm"):
        tensors = [event.tensor_proto for event in events.Tensors(f"epoch_{name}")]
        written = [float(tf.make_ndarray(tensor)) for tensor in tensors]
        assert written == pytest.approx(history[name], rel=1e-6)


def test_keras_tuner_tries_eta_0_and_reloads_the_best(tmp_path):
    keras_tuner = pytest.importorskip("keras_tuner", reason="needs keras-tuner")
    pytest.importorskip("tensorboard", reason="keras-tuner imports it in every trial")

    def build(hp):
        model = net()
        model.compile(keras.optimizers.SGD(hp.Choice("eta_0", [1e-4, 0.05]), momentum=0.9), "mse")
        return model

    tuner = keras_tuner.GridSearch(
        build, keras_tuner.Objective("loss", "min"), directory=tmp_path, overwrite=True
    )
    tuner.search(*data(16), epochs=2, callbacks=[Zenith(window=5)], **FIT)
    assert tuner.get_best_hyperparameters()[0]["eta_0"] == 0.05

    def build_sgd(hp):
        model = net()
        model.compile(ZenithSGD(hp.Choice("eta_0", [1e-4, 0.05]), 0.9, window=5), "mse")
        return model

    tuner = keras_tuner.GridSearch(
        build_sgd, keras_tuner.Objective("loss", "min"), directory=tmp_path, overwrite=True
    )
    tuner.search(*data(16), epochs=2, **FIT)
    best = tuner.get_best_models()[0]
    assert isinstance(best.optimizer, ZenithSGD)


def test_swap_ema_weights_evaluates_the_average():
    optimizer = keras.optimizers.SGD(ETA_0, momentum=0.9, use_ema=True, ema_momentum=0.8)
    x, y = data(16)
    model, history = fitted(
        Zenith(window=5),
        keras.callbacks.SwapEMAWeights(),
        optimizer=optimizer,
        validation_data=(x, y),
    )
    expected = reference(use_ema=True, ema_momentum=0.8)
    for mine, theirs in zip(model.get_weights(), expected.average, strict=True):
        np.testing.assert_allclose(mine, theirs, atol=1e-5)
    assert history["val_loss"][-1] == pytest.approx(model.evaluate(x, y, verbose=0), rel=1e-5)


def test_an_embedding_with_repeated_rows_is_measured_whole():
    rows = np.array([[0, 0, 0, 2], [0, 1, 1, 2]], "int32")
    target = np.arange(8, dtype="float32").reshape(2, 4, 1)
    model = keras.Sequential(
        [keras.layers.Input((4,), dtype="int32"), keras.layers.Embedding(5, 1)]
    )
    table = np.array([[0.5], [-1.0], [2.0], [0.0], [0.0]], "float32")
    model.set_weights([table])
    model.compile(keras.optimizers.SGD(0.1), "mse")
    model.fit(rows, target, batch_size=2, verbose=0, callbacks=[Zenith(window=3)])
    gradient = np.zeros((5, 1))
    np.add.at(gradient, rows, 2 * (table.astype("float64")[rows] - target) / target.size)
    apart = 2 * (table[rows] - target) / target.size
    (norm,) = export_state(model.optimizer)["norms"]
    assert norm == pytest.approx(np.sqrt(np.sum(gradient**2)), rel=1e-6)
    assert norm != pytest.approx(np.sqrt(np.sum(apart**2)), rel=0.1)


def test_frozen_layers_are_left_out_of_the_norm():
    model, etas = net(), Etas()
    model.layers[0].trainable = False
    model.compile(keras.optimizers.SGD(ETA_0, momentum=0.9), "mse")
    model.fit(*data(), callbacks=[Zenith(window=5), etas], **FIT)

    class FrozenFirst(Reference):
        def step(self, grads):
            super().step([np.zeros_like(grads[0]), np.zeros_like(grads[1]), *grads[2:]])

    expected = FrozenFirst(5, momentum=0.9).train(*data())
    np.testing.assert_allclose(etas.seen, expected.etas, rtol=0, atol=1e-6)


def test_a_regularizer_is_in_the_norm_and_weight_decay_is_not():
    x, y = data(1)

    def first_norm(optimizer, **layer):
        model = net(**layer)
        model.compile(optimizer, "mse")
        model.fit(x, y, callbacks=[Zenith(window=3)], **FIT)
        return export_state(model.optimizer)["norms"][0]

    plain = Reference(3).train(x, y).norms[0]
    assert first_norm(keras.optimizers.SGD(0.1, weight_decay=10.0)) == pytest.approx(
        plain, rel=1e-6
    )
    assert first_norm(keras.optimizers.SGD(0.1, clipnorm=1e-3)) == pytest.approx(plain, rel=1e-6)
    l2 = {"kernel_regularizer": keras.regularizers.L2(1.0)}
    assert first_norm(keras.optimizers.SGD(0.1), **l2) > 1.1 * plain


def test_a_base_schedule_stays_in_charge_of_eta_0():
    base = keras.optimizers.schedules.PiecewiseConstantDecay([32], [ETA_0, ETA_0 / 10])
    model, _ = fitted(Zenith(window=5), optimizer=keras.optimizers.SGD(base, momentum=0.9))
    expected = reference(base=lambda i: ETA_0 if i <= 32 else ETA_0 / 10)
    for mine, theirs in zip(model.get_weights(), expected.weights, strict=True):
        np.testing.assert_allclose(mine, theirs, atol=1e-5)


def test_safeguards_reach_the_rule():
    model, _ = fitted(Zenith(window=5, min_scale=0.9))
    assert float(model.optimizer.scale) == pytest.approx(0.9)
    config = model.optimizer.get_config()
    assert (config["window"], config["min_scale"], config["spike_factor"]) == (5, 0.9, None)
    spiky, _ = fitted(Zenith(window=5, spike_factor=1.01))
    free, _ = fitted(Zenith(window=5))
    assert float(spiky.optimizer.scale) != float(free.optimizer.scale)


def test_the_arguments_read_alike_on_every_face():
    expected = {"window": 500, "min_scale": 0.0, "spike_factor": None}
    from zenith.keras import ZenithSchedule, attach

    for face in (Zenith, ZenithSGD, ZenithSchedule, attach):
        parameters = inspect.signature(face).parameters
        assert {name: parameters[name].default for name in expected} == expected


@pytest.mark.skipif(BACKEND != "tensorflow", reason="legacy .h5 files are tested on one backend")
def test_legacy_h5_files_carry_the_window(tmp_path):
    model = net()
    model.compile(keras.optimizers.SGD(ETA_0), keras.losses.MeanSquaredError())
    model.fit(*data(16), callbacks=[Zenith(window=5)], **FIT)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("absl.logging.warning", lambda *args: None)
        model.save(tmp_path / "run.h5")
        loaded = keras.models.load_model(tmp_path / "run.h5")
    assert export_state(loaded.optimizer) == export_state(model.optimizer)
