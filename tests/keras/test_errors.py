"""What cannot work says so in Keras's form: what is accepted, what was received, what to do."""

import os
import subprocess
import sys
import textwrap

import keras
import numpy as np
import pytest

from tests.keras.conftest import BACKEND
from tests.keras.problem import BATCH, data, net
from zenith.keras import Zenith, ZenithSchedule, ZenithSGD, attach, export_state

FACES = {
    "Zenith": Zenith,
    "ZenithSGD": lambda **settings: ZenithSGD(0.1, **settings),
    "ZenithSchedule": lambda **settings: ZenithSchedule(0.1, **settings),
    "attach": lambda **settings: attach(keras.optimizers.SGD(0.1), **settings),
}


@pytest.mark.parametrize("face", FACES)
@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"window": 0}, ValueError, r"window must be at least 1.*Received: 0"),
        ({"window": -3}, ValueError, r"window must be at least 1.*Received: -3"),
        ({"window": 2.5}, TypeError, r"window must be an int.*Received: 2.5"),
        ({"window": True}, TypeError, r"window must be an int.*Received: True"),
        ({"min_scale": 1.0}, ValueError, r"min_scale must lie in \[0, 1\).*Received: 1.0"),
        ({"spike_factor": 1.0}, ValueError, r"spike_factor must be .*Received: 1.0"),
    ],
)
def test_a_wrong_setting_is_named(face, settings, error, message):
    with pytest.raises(error, match=message):
        FACES[face](**settings)


class Lbfgs(keras.optimizers.Optimizer):
    """Like an L-BFGS: a step is more than one gradient."""

    def update_step(self, gradient, variable, learning_rate):
        variable.assign_sub(gradient)


class MySGD(keras.optimizers.SGD):
    pass


OTHERS = {
    "Adam": lambda: keras.optimizers.Adam(0.1),
    "Lbfgs": lambda: Lbfgs(0.1),
    "MySGD": lambda: MySGD(0.1),
    "str": lambda: "sgd",
}
if hasattr(keras.optimizers, "MultiOptimizer"):
    OTHERS["MultiOptimizer"] = lambda: keras.optimizers.MultiOptimizer(
        keras.optimizers.OptimizerMap(keras.optimizers.SGD(0.1))
    )


@pytest.mark.parametrize("name", OTHERS)
def test_another_optimizer_gets_a_type_error_that_says_why(name):
    with pytest.raises(TypeError, match=rf"paper.*Received: optimizer=.* of type {name}"):
        attach(OTHERS[name]())


@pytest.mark.parametrize("name", [name for name in OTHERS if name != "str"])
def test_the_callback_refuses_it_in_fit_before_anything_changed(name):
    model = net()
    model.compile(OTHERS[name](), "mse")
    before = type(model.optimizer)
    with pytest.raises(TypeError, match=rf"Received: optimizer=.* of type {name}"):
        model.fit(*data(4), batch_size=BATCH, verbose=0, callbacks=[Zenith()])
    assert type(model.optimizer) is before


def test_a_subclass_is_told_what_to_derive_from():
    with pytest.raises(TypeError, match=r"Derive your class from `zenith.keras.ZenithSGD`"):
        attach(MySGD(0.1))

    class Mine(ZenithSGD):
        pass

    mine = Mine(0.1)
    assert attach(mine) is mine


def test_inside_a_loss_scaler_the_inner_optimizer_is_checked():
    with pytest.raises(TypeError, match="of type Adam"):
        attach(keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam(0.1)))
    scaler = keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.1))
    assert attach(scaler) is scaler
    assert isinstance(scaler.inner_optimizer, ZenithSGD)


def test_a_second_fit_with_another_window_is_refused():
    model = net()
    model.compile(keras.optimizers.SGD(0.1), "mse")
    fit = {"batch_size": BATCH, "verbose": 0}
    model.fit(*data(4), callbacks=[Zenith(window=5)], **fit)
    for other in (
        {"window": 6},
        {"window": 5, "min_scale": 0.1},
        {"window": 5, "spike_factor": 2.0},
    ):
        with pytest.raises(ValueError, match=r"'window': 5.*one choice.*Received: {'window': "):
            model.fit(*data(4), callbacks=[Zenith(**other)], **fit)


def test_attaching_to_a_compiled_train_function_warns_where_it_would_go_unseen():
    model = net()
    model.compile(keras.optimizers.SGD(0.1), "mse")
    fit = {"batch_size": BATCH, "verbose": 0}
    model.fit(*data(4), **fit)
    if BACKEND == "tensorflow":
        with pytest.warns(
            UserWarning, match=r"has taken 4 steps.*make_train_function\(force=True\)"
        ):
            attach(model.optimizer, window=2)
        model.make_train_function(force=True)
    else:
        attach(model.optimizer, window=2)
    model.fit(*data(4), **fit)
    assert len(export_state(model.optimizer)["norms"]) == 2


def test_a_schedule_and_its_optimizer_must_agree():
    for make in (
        lambda schedule: ZenithSGD(schedule, window=6),
        lambda schedule: attach(keras.optimizers.SGD(schedule), window=6),
    ):
        with pytest.raises(
            ValueError, match=r"ZenithSchedule.*'window': 5.*Received: {'window': 6"
        ):
            make(ZenithSchedule(0.1, window=5))
    plain = keras.optimizers.SGD(ZenithSchedule(0.1, window=5))
    before = type(plain)
    with pytest.raises(ValueError, match="ZenithSchedule"):
        attach(plain, window=6)
    assert type(plain) is before


def test_a_schedule_of_no_number_is_refused():
    with pytest.raises(ValueError, match=r"must be a float.*Received: learning_rate='0.1'"):
        ZenithSchedule("0.1")


def test_a_model_without_an_optimizer_is_told_to_compile():
    with pytest.raises(ValueError, match=r"compiled with an optimizer.*Received: model="):
        Zenith().set_model(net())


def test_a_gradient_that_is_not_finite_is_counted_and_costs_one_step():
    optimizer = ZenithSGD(0.1, window=2)
    variable = keras.Variable(np.zeros(2, "float32"))
    for gradient in ([1.0, 0.0], [0.5, 0.0], [np.nan, 0.0], [0.25, 0.0]):
        optimizer.apply([keras.ops.convert_to_tensor(np.array(gradient, "float32"))], [variable])
    assert int(optimizer._history[5].numpy()) == 1
    assert float(optimizer.scale) == 0.5


def test_a_backend_that_cannot_train_is_refused_on_import():
    code = """
        try:
            import zenith.keras
        except ValueError as error:
            print(error)
    """
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-c", textwrap.dedent(code)],
        env={**os.environ, "KERAS_BACKEND": "numpy"},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    assert "tensorflow, jax, torch. Received: KERAS_BACKEND='numpy'" in done.stdout
