"""`ZenithSchedule`: a schedule object whose value is eta_t, once something feeds it."""

import copy
import gc
import pickle

import keras
import pytest

from tests.keras.problem import BATCH, ETA_0, Etas, Reference, data, net
from tests.keras.test_algorithm_1 import assert_follows
from zenith.keras import Zenith, ZenithSchedule, ZenithSGD, attach

FIT = {"batch_size": BATCH, "shuffle": False, "verbose": 0}


@pytest.mark.parametrize("face", ["callback", "attach", "ZenithSGD"])
def test_its_value_is_eta(face):
    schedule, etas = ZenithSchedule(ETA_0, window=5), Etas()
    if face == "ZenithSGD":
        optimizer = ZenithSGD(schedule, momentum=0.9, window=5)
    else:
        optimizer = keras.optimizers.SGD(schedule, momentum=0.9)
    if face == "attach":
        attach(optimizer, window=5)
    model = net()
    model.compile(optimizer, "mse")
    callbacks = [Zenith(window=5), etas] if face == "callback" else [etas]
    model.fit(*data(), callbacks=callbacks, **FIT)
    assert_follows(Reference(5, momentum=0.9).train(*data()), etas.seen, model.get_weights())
    assert float(schedule(0)) == etas.seen[-1]


def test_a_schedule_inside_is_multiplied():
    base = keras.optimizers.schedules.PiecewiseConstantDecay([31], [ETA_0, ETA_0 / 10])
    model = net()
    model.compile(keras.optimizers.SGD(ZenithSchedule(base, window=5)), "mse")
    model.fit(*data(), callbacks=[Zenith(window=5)], **FIT)
    expected = Reference(5, base=lambda i: ETA_0 if i <= 31 else ETA_0 / 10).train(*data())
    assert_follows(expected, expected.etas, model.get_weights())


def test_a_schedule_that_nothing_feeds_raises_when_its_value_is_asked_for():
    schedule = ZenithSchedule(0.1, window=20)
    with pytest.raises(
        RuntimeError, match=r"nothing feeds it.*window=20.*Received: optimizer=None"
    ):
        schedule(3)
    model = net()
    model.compile(keras.optimizers.SGD(schedule), "mse")
    with pytest.raises(RuntimeError, match="nothing feeds it"):
        model.fit(*data(4), **FIT)


def test_it_round_trips_through_its_config_and_through_a_saved_model(tmp_path):
    inner = keras.optimizers.schedules.ExponentialDecay(0.1, 10, 0.9)
    for base in (0.25, inner):
        schedule = ZenithSchedule(base, window=7, min_scale=0.1, spike_factor=2.0)
        again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(schedule))
        assert again.get_config() == schedule.get_config()
    model = net()
    model.compile(keras.optimizers.SGD(ZenithSchedule(ETA_0, window=5)), "mse")
    model.fit(*data(16), callbacks=[Zenith(window=5)], **FIT)
    model.save(tmp_path / "run.keras")
    loaded = keras.models.load_model(tmp_path / "run.keras")
    assert float(loaded.optimizer.learning_rate) == float(model.optimizer.learning_rate) < ETA_0


@pytest.mark.parametrize("copier", [copy.deepcopy, lambda s: pickle.loads(pickle.dumps(s))])  # noqa: S301
def test_a_copy_belongs_to_no_optimizer_yet(copier):
    schedule = ZenithSchedule(0.1, window=3)
    optimizer = ZenithSGD(schedule, window=3)
    assert float(optimizer.learning_rate) == pytest.approx(0.1)
    twin = copier(schedule)
    assert twin.get_config() == schedule.get_config()
    with pytest.raises(RuntimeError, match="nothing feeds it"):
        twin(0)


def test_one_schedule_follows_one_optimizer():
    schedule = ZenithSchedule(0.1, window=3)
    optimizer = ZenithSGD(schedule, window=3, name="first")
    with pytest.raises(ValueError, match=r"one optimizer.*Received: optimizer='second'"):
        ZenithSGD(schedule, window=3, name="second")
    del optimizer
    gc.collect()
    ZenithSGD(schedule, window=3, name="second")


def test_it_can_take_over_from_a_float_later():
    optimizer = ZenithSGD(0.1, window=3)
    optimizer.learning_rate = ZenithSchedule(0.2, window=3)
    assert float(optimizer.learning_rate) == pytest.approx(0.2)
    with pytest.raises(TypeError, match="not settable"):
        optimizer.learning_rate = 0.3
