"""What zenith.keras takes for granted of Keras beyond its public interface.

If one of these fails with a new Keras, `ZenithSGD` is the one class to change.
"""

import inspect
import subprocess
import sys
import textwrap
from pathlib import Path

import keras
import numpy as np
import pytest

from tests.keras.conftest import BACKEND
from tests.keras.problem import BATCH, data, net
from zenith.keras import ZenithSGD


def test_sgd_makes_an_instance_of_our_base_class():
    (base,) = ZenithSGD.__bases__
    assert type(keras.optimizers.SGD(0.1)) is base


def test_every_private_method_that_we_override_exists():
    for name in ("_clip_gradients", "_get_current_learning_rate"):
        assert callable(getattr(keras.optimizers.SGD, name))
    if BACKEND == "tensorflow":
        assert callable(keras.optimizers.SGD._all_reduce_sum_gradients)
        assert hasattr(keras.optimizers.SGD(0.1), "_distribution_strategy")


class Traced(keras.optimizers.SGD if BACKEND != "torch" else ZenithSGD.__bases__[0]):
    """Notes the order of the calls in a step."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.calls = ()

    def _clip_gradients(self, grads):
        self.calls += ("clip",)
        self.received = grads
        return super()._clip_gradients(grads)

    def _get_current_learning_rate(self):
        self.calls += ("learning_rate",)
        return super()._get_current_learning_rate()


def apply(optimizer, *gradients):
    variable = keras.Variable(np.zeros(2, "float32"))
    for gradient in gradients:
        optimizer.apply([keras.ops.convert_to_tensor(np.full(2, gradient, "float32"))], [variable])
    return variable


def test_the_clip_hook_comes_before_every_reading_of_the_learning_rate():
    optimizer = Traced(0.1, weight_decay=0.1, momentum=0.9)
    apply(optimizer, 1.0)
    assert optimizer.calls[0] == "clip"
    assert optimizer.calls.count("clip") == 1
    assert "learning_rate" in optimizer.calls


def test_the_clip_hook_receives_unscaled_gradients():
    optimizer = Traced(0.1, loss_scale_factor=8.0)
    apply(optimizer, 8.0)
    assert np.asarray(keras.ops.convert_to_numpy(optimizer.received[0])).tolist() == [1.0, 1.0]


def test_the_clip_hook_receives_the_mean_of_accumulated_gradients_once_an_update():
    optimizer = Traced(0.1, gradient_accumulation_steps=2)
    apply(optimizer, 1.0, 3.0)
    assert np.asarray(keras.ops.convert_to_numpy(optimizer.received[0])).tolist() == [2.0, 2.0]
    if BACKEND != "jax":  # JAX calls it in every step and throws the result away
        assert optimizer.calls.count("clip") == 1


def test_without_clipping_the_hook_hands_on_the_same_list():
    grads = [keras.ops.ones(2)]
    assert keras.optimizers.SGD(0.1)._clip_gradients(grads) is grads


def test_keras_sets_callbacks_models_before_it_makes_the_train_function():
    order = []

    class Watch(keras.callbacks.Callback):
        def set_model(self, model):
            order.append(("set_model", model.train_function))
            super().set_model(model)

    model = net()
    model.compile(keras.optimizers.SGD(0.1), "mse")
    make = model.make_train_function
    model.make_train_function = lambda *a, **k: (order.append(("make", None)), make(*a, **k))[1]
    model.fit(*data(2), batch_size=BATCH, verbose=0, callbacks=[Watch()])
    assert [name for name, _ in order] == ["set_model", "make"]


def test_sgd_stores_the_arguments_that_we_pass_by_position():
    names = list(inspect.signature(keras.optimizers.SGD.__init__).parameters)
    assert names[:4] == ["self", "learning_rate", "momentum", "nesterov"]


@pytest.mark.parametrize("others", [["torch", "optax"]])
def test_importing_it_creates_no_variable_and_imports_no_other_front_end(others):
    code = f"""
        import sys
        import keras
        made = []
        init = keras.Variable.__init__
        keras.Variable.__init__ = lambda self, *a, **k: (made.append(1), init(self, *a, **k))[1]
        import zenith.keras
        assert not made, made
        assert not [m for m in {others} if f"zenith.{{m}}" in sys.modules]
    """
    subprocess.run(  # noqa: S603
        [sys.executable, "-W", "ignore", "-c", textwrap.dedent(code)],
        check=True,
        cwd=Path(__file__).parents[2],
    )
