"""Training follows Algorithm 1 in float64, in every mode of the optimizer and the trainer."""

import keras
import numpy as np
import pytest

from tests.keras.conftest import BACKEND
from tests.keras.problem import BATCH, ETA_0, STEPS, Etas, Reference, batches, data, net
from zenith.keras import Zenith, ZenithSGD, attach

torch_compile = pytest.mark.skipif(
    BACKEND == "torch" and keras.__version__.startswith("3.10."),
    reason="torch 2.13 cannot compile the losses of Keras 3.10, with plain SGD neither",
)

OPTIONS = {
    "plain": {},
    "momentum": {"momentum": 0.9},
    "nesterov": {"momentum": 0.9, "nesterov": True},
    "weight_decay": {"weight_decay": 0.05, "momentum": 0.5},
    "clipnorm": {"clipnorm": 0.2},
    "global_clipnorm": {"global_clipnorm": 0.3},
    "clipvalue": {"clipvalue": 0.1},
    "accumulation": {"gradient_accumulation_steps": 4, "momentum": 0.5},
    "loss_scale": {"loss_scale_factor": 1024.0},
    "ema": {"use_ema": True, "ema_momentum": 0.8},
    "ema_overwrite": {"use_ema": True, "ema_momentum": 0.8, "ema_overwrite_frequency": 7},
}


def assert_follows(reference: Reference, etas, weights) -> None:
    np.testing.assert_allclose(etas, reference.etas, rtol=0, atol=1e-6)
    for mine, theirs in zip(weights, reference.weights, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=0, atol=1e-5)


def fit(model, *callbacks, steps=STEPS):
    model.fit(*data(steps), batch_size=BATCH, shuffle=False, verbose=0, callbacks=list(callbacks))


@pytest.mark.parametrize("window", [1, 5, 20])
@pytest.mark.parametrize("option", OPTIONS)
def test_fit_follows_algorithm_1_in_float64(option, window):
    options = OPTIONS[option]
    steps = STEPS * options.get("gradient_accumulation_steps", 1)
    model, etas = net(), Etas()
    model.compile(keras.optimizers.SGD(ETA_0, **options), "mse")
    fit(model, Zenith(window=window), etas, steps=steps)
    reference = Reference(window, **options).train(*data(steps))
    assert min(reference.etas) < 0.95 * ETA_0  # a constant learning rate would not pass
    if options.get("use_ema"):
        reference.weights = reference.average  # Keras's fit ends with the average in the model
    assert_follows(reference, etas.seen, model.get_weights())


def test_an_eta_that_is_one_step_late_would_be_seen():
    on_time = Reference(5).train(*data())
    late = Reference(5)
    rule, scales = late.rule, [1.0]
    late.rule = lambda norm: (scales.append(rule(norm)), scales[-2])[1]
    late.train(*data())
    with pytest.raises(AssertionError):
        assert_follows(on_time, late.etas, on_time.weights)
    with pytest.raises(AssertionError):
        assert_follows(on_time, on_time.etas, late.weights)


MODES = {
    "jit": {"jit_compile": True},
    "no_jit": {"jit_compile": False},
    "eager": {"run_eagerly": True},
}


@pytest.mark.parametrize("option", ["momentum", "accumulation"])
@pytest.mark.parametrize("mode", [pytest.param("jit", marks=torch_compile), "no_jit", "eager"])
def test_every_execution_mode_follows_algorithm_1(mode, option):
    if BACKEND == "jax" and option == "accumulation" and mode != "jit":
        pytest.skip("outside jit Keras has JAX compile its lax.cond anew in every step")
    model, etas = net(), Etas()
    model.compile(keras.optimizers.SGD(ETA_0, **OPTIONS[option]), "mse", **MODES[mode])
    fit(model, Zenith(window=5), etas)
    reference = Reference(5, **OPTIONS[option]).train(*data())
    assert_follows(reference, etas.seen, model.get_weights())


@pytest.mark.skipif(BACKEND == "torch", reason="Keras on torch takes one step an execution")
@pytest.mark.parametrize("jit", [True, False])
def test_steps_per_execution_follows_algorithm_1(jit):
    model, etas = net(), Etas()
    model.compile(
        keras.optimizers.SGD(ETA_0, momentum=0.9), "mse", steps_per_execution=8, jit_compile=jit
    )
    fit(model, Zenith(window=5), etas)
    reference = Reference(5, momentum=0.9).train(*data())
    assert len(etas.seen) == STEPS // 8
    reference.etas = reference.etas[7::8]
    assert_follows(reference, etas.seen, model.get_weights())


def test_train_on_batch_follows_algorithm_1():
    model, etas = net(), []
    model.compile(ZenithSGD(ETA_0, momentum=0.9, window=5), "mse")
    for x, y in batches(*data()):
        model.train_on_batch(x, y)
        etas.append(float(keras.ops.convert_to_numpy(model.optimizer.learning_rate)))
    assert_follows(Reference(5, momentum=0.9).train(*data()), etas, model.get_weights())


def tensorflow_loop(model, optimizer, compiled):
    import tensorflow as tf

    def step(x, y):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.square(model(x) - y))
        optimizer.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)
        return optimizer.learning_rate

    return tf.function(step, jit_compile=True) if compiled == "jit" else step


def torch_loop(model, optimizer, compiled):
    import torch

    def step(x, y):
        model.zero_grad()
        torch.mean((model(x) - torch.from_numpy(y)) ** 2).backward()
        grads = [v.value.grad for v in model.trainable_variables]
        # Without torch.no_grad(): a user may forget it, Keras does not mind.
        optimizer.apply(grads, model.trainable_variables)
        return optimizer.learning_rate

    return step


def jax_loop(model, optimizer, compiled):
    import jax

    optimizer.build(model.trainable_variables)
    trainable = [v.value for v in model.trainable_variables]
    state = [v.value for v in optimizer.variables]

    def loss(trainable, x, y):
        prediction, _ = model.stateless_call(trainable, [], x)
        return jax.numpy.mean((prediction - y) ** 2)

    def update(trainable, state, x, y):
        grads = jax.grad(loss)(trainable, x, y)
        trainable, state = optimizer.stateless_apply(state, grads, trainable)
        mapping = list(zip(optimizer.variables, state, strict=True))
        with keras.StatelessScope(mapping):
            return trainable, state, optimizer.learning_rate

    update = jax.jit(update) if compiled == "jit" else update

    def step(x, y):
        nonlocal trainable, state
        trainable, state, eta = update(trainable, state, x, y)
        for variable, value in zip(model.trainable_variables, trainable, strict=True):
            variable.assign(value)
        return eta

    return step


@pytest.mark.parametrize("face", ["ZenithSGD", "attach", "attach after the build"])
@pytest.mark.parametrize("compiled", ["eager", "jit"])
def test_a_custom_loop_follows_algorithm_1(compiled, face):
    if (BACKEND, compiled) == ("torch", "jit"):
        pytest.skip("compiled torch is tested through fit")
    model = net()
    if face == "ZenithSGD":
        optimizer = ZenithSGD(ETA_0, 0.9, window=5)
    else:
        optimizer = keras.optimizers.SGD(ETA_0, momentum=0.9)
        if face == "attach after the build":
            optimizer.build(model.trainable_variables)
        optimizer = attach(optimizer, window=5)
    if compiled == "jit":
        optimizer.build(model.trainable_variables)
    loops = {"tensorflow": tensorflow_loop, "torch": torch_loop, "jax": jax_loop}
    step = loops[BACKEND](model, optimizer, compiled)
    etas = [float(keras.ops.convert_to_numpy(step(x, y))) for x, y in batches(*data())]
    assert_follows(Reference(5, momentum=0.9).train(*data()), etas, model.get_weights())


@pytest.mark.parametrize("jit", [pytest.param(True, marks=torch_compile), False])
def test_a_step_that_the_loss_scaler_skips_moves_nothing(jit):
    if BACKEND == "jax" and not jit:
        pytest.skip("outside jit Keras has JAX compile its lax.cond anew in every step")
    x, y = data()
    forced = 10
    y[forced * BATCH] = np.inf
    model, etas = net(), Etas()
    scaler = keras.optimizers.LossScaleOptimizer(
        keras.optimizers.SGD(ETA_0, momentum=0.9), initial_scale=2.0**10, dynamic_growth_steps=20
    )
    model.compile(scaler, "mse", jit_compile=jit)
    model.fit(x, y, batch_size=BATCH, shuffle=False, verbose=0, callbacks=[Zenith(window=5), etas])
    reference = Reference(5, momentum=0.9)
    for step, batch in enumerate(batches(x.astype("float64"), y.astype("float64"))):
        if step == forced:
            reference.etas.append(reference.etas[-1])
        else:
            reference.train(*batch)
    assert int(scaler.inner_optimizer.iterations) == STEPS - 1
    assert_follows(reference, etas.seen, model.get_weights())


def test_mixed_float16_measures_the_unscaled_gradient():
    x, y = data()
    model, etas = net(dtype="mixed_float16"), Etas()
    # The mixed policy of the layers alone does not wrap the optimizer.
    scaler = keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(ETA_0), initial_scale=2.0**12)
    model.compile(scaler, "mse")
    model.fit(x, y, batch_size=BATCH, shuffle=False, verbose=0, callbacks=[Zenith(window=5), etas])
    reference = Reference(5).train(x, y)
    assert scaler.inner_optimizer.scale.dtype in ("float32", keras.ops.ones(()).dtype)
    # The forward pass is float16: 2^-11 relative, over 64 steps.
    np.testing.assert_allclose(etas.seen, reference.etas, rtol=0.02)
    for mine, theirs in zip(model.get_weights(), reference.weights, strict=True):
        np.testing.assert_allclose(mine, theirs, atol=0.01)


def test_mixed_float16_is_wrapped_by_compile_and_still_attached():
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model = net()
        model.compile(keras.optimizers.SGD(ETA_0), "mse")
        assert isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer)
        fit(model, Zenith(window=5))
        assert isinstance(model.optimizer.inner_optimizer, ZenithSGD)
        assert float(model.optimizer.inner_optimizer.scale) < 1
    finally:
        keras.config.set_dtype_policy("float32")


def test_a_second_fit_continues_with_and_without_the_callback():
    x, y = data()
    half = STEPS // 2 * BATCH
    third = half + STEPS // 4 * BATCH
    model, etas = net(), Etas()
    model.compile(keras.optimizers.SGD(ETA_0, momentum=0.9), "mse")
    common = {"batch_size": BATCH, "shuffle": False, "verbose": 0}
    model.fit(x[:half], y[:half], callbacks=[Zenith(window=5), etas], **common)
    model.fit(x[half:third], y[half:third], callbacks=[Zenith(window=5), etas], **common)
    model.fit(x[third:], y[third:], callbacks=[etas], **common)
    assert_follows(Reference(5, momentum=0.9).train(x, y), etas.seen, model.get_weights())


def test_attaching_after_plain_epochs_starts_there():
    x, y = data()
    half = STEPS // 2 * BATCH
    model, etas = net(), Etas()
    model.compile(keras.optimizers.SGD(ETA_0, momentum=0.9), "mse")
    common = {"batch_size": BATCH, "shuffle": False, "verbose": 0}
    model.fit(x[:half], y[:half], callbacks=[etas], **common)
    model.fit(x[half:], y[half:], callbacks=[Zenith(window=5), etas], **common)
    reference = Reference(5, momentum=0.9)
    rule = reference.rule
    reference.rule = lambda norm: 1.0
    reference.train(x[:half], y[:half])
    reference.rule = rule
    assert_follows(reference.train(x[half:], y[half:]), etas.seen, model.get_weights())


def test_a_schedule_as_base_learning_rate_is_multiplied():
    model, etas = net(), Etas()
    base = keras.optimizers.schedules.ExponentialDecay(ETA_0, 10, 0.9)
    model.compile(keras.optimizers.SGD(base, momentum=0.9), "mse")
    fit(model, Zenith(window=5), etas)
    reference = Reference(5, momentum=0.9, base=lambda i: ETA_0 * 0.9 ** (i / 10)).train(*data())
    # After a step Keras asks for the base of the next iteration.
    reference.etas = [eta * 0.9**0.1 for eta in reference.etas]
    assert_follows(reference, etas.seen, model.get_weights())
