"""Two virtual devices, in a process that can set them up: python -m tests.keras.devices HOW."""

import json
import re
import sys
from contextlib import nullcontext

import keras
import numpy as np

from tests.keras.problem import BATCH, Etas, data, net
from zenith.keras import Zenith, export_state

STEPS = 64
FIT = {"batch_size": BATCH, "shuffle": False, "verbose": 0}
OPTIONS = {
    "plain": {},
    "momentum": {"momentum": 0.9, "nesterov": True},
    "weight_decay": {"weight_decay": 0.05},
    "ema": {"use_ema": True, "ema_momentum": 0.8},
    "clipnorm": {"clipnorm": 0.2},
    "clipvalue": {"clipvalue": 0.1},
    "accumulation": {"gradient_accumulation_steps": 4},
    "loss_scaler": {},
}


def embedding_net() -> keras.Model:
    """Rows 0 and 1 in every batch, several times each."""
    model = keras.Sequential(
        [
            keras.layers.Input((3,), dtype="int32"),
            keras.layers.Embedding(5, 4),
            keras.layers.Flatten(),
            keras.layers.Dense(2),
        ]
    )
    rng = np.random.default_rng(2)
    model.set_weights([rng.normal(0, 0.3, w.shape).astype("float32") for w in model.get_weights()])
    return model


def compiled(option: str) -> keras.Model:
    model = embedding_net() if option == "embedding" else net()
    optimizer = keras.optimizers.SGD(0.05, **OPTIONS.get(option, {}))
    if option == "loss_scaler":
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer, initial_scale=64.0)
    model.compile(optimizer, "mse")
    return model


def fit(model: keras.Model, option: str, *callbacks) -> None:
    x, y = data(STEPS)
    if option == "embedding":
        x = np.random.default_rng(3).integers(0, 5, x.shape)
        x[::2, :2] = [0, 1]
    model.fit(x, y, callbacks=list(callbacks), **FIT)


def run(option: str, scope=nullcontext) -> tuple[keras.Model, dict]:
    etas = Etas()
    with scope():
        model = compiled(option)
    fit(model, option, Zenith(window=5), etas)
    weights = [np.asarray(w).tolist() for w in model.get_weights()]
    return model, {"etas": etas.seen, "weights": weights, "state": export_state(model.optimizer)}


def mirrored() -> dict:
    import tensorflow as tf

    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])

    reduced: list[int] = []
    all_reduce = tf.distribute.ReplicaContext.all_reduce

    def counted(self, op, value, *args, **kwargs):
        reduced.append(len(tf.nest.flatten(value)))  # by each replica, while it is traced
        return all_reduce(self, op, value, *args, **kwargs)

    tf.distribute.ReplicaContext.all_reduce = counted

    results = {}
    for option in [*OPTIONS, "embedding"]:
        if option == "accumulation":
            continue
        with strategy.scope():
            plain = compiled(option)
        reduced.clear()
        fit(plain, option)
        of_plain = sorted(set(reduced)), len(reduced)
        reduced.clear()
        model, two = run(option, strategy.scope)
        of_zenith = sorted(set(reduced)), len(reduced)
        optimizer = getattr(model.optimizer, "inner_optimizer", model.optimizer)
        two["replicas"] = [
            [v.numpy().tolist() for v in strategy.experimental_local_results(variable.value)]
            for variable in [*optimizer.variables, *model.trainable_variables]
        ]
        two["all_reduces"] = {"plain": of_plain, "zenith": of_zenith}
        results[option] = {"two": two, "one": run(option)[1]}
    return results


def of_jax(distribution) -> dict:
    import jax

    results = {}
    for option in OPTIONS:
        keras.distribution.set_distribution(None)
        one = run(option)[1]
        keras.distribution.set_distribution(distribution())
        model, two = run(option)
        plain = compiled(option)
        fit(plain, option)
        two["replicas"] = [
            [np.asarray(shard.data).tolist() for shard in variable.value.addressable_shards]
            for variable in model.optimizer.variables
            if "zenith" in variable.path or "iteration" in variable.path
        ]
        two["all_reduces"] = {"plain": reductions(plain, jax), "zenith": reductions(model, jax)}
        two["sharded"] = sum(
            not v.value.sharding.is_fully_replicated for v in model.trainable_variables
        )
        results[option] = {"one": one, "two": two}
    return results


def reductions(model: keras.Model, jax) -> list:
    state = model._get_jax_state(
        trainable_variables=True,
        non_trainable_variables=True,
        optimizer_variables=True,
        metrics_variables=True,
    )
    x, y = (a[:BATCH] for a in data(1))
    layout = keras.distribution.distribution().get_data_layout(x.shape).backend_layout
    batch = tuple(jax.device_put(a, layout) for a in (x, y))
    text = jax.jit(model.train_step).lower(state, batch).compile().as_text()
    found = re.findall(r"= (.*?) all-reduce(?:-start)?\(", text)
    # One all-reduce may carry many tensors, and XLA's versions differ in how they bundle.
    shapes = re.findall(r"\w+\[([\d,]*)\]", " ".join(found))
    return [len(found), len(shapes), sum(shape != "" for shape in shapes)]


def data_parallel():
    return keras.distribution.DataParallel(devices=keras.distribution.list_devices("cpu"))


def model_parallel():
    mesh = keras.distribution.DeviceMesh(
        (1, 2), ["batch", "model"], keras.distribution.list_devices("cpu")
    )
    layout = keras.distribution.LayoutMap(mesh)
    layout[".*hidden/kernel"] = (None, "model")
    layout[".*hidden/bias"] = ("model",)
    return keras.distribution.ModelParallel(layout_map=layout, batch_dim_name="batch")


HOWS = {
    "mirrored": mirrored,
    "data_parallel": lambda: of_jax(data_parallel),
    "model_parallel": lambda: of_jax(model_parallel),
}

if __name__ == "__main__":
    json.dump(HOWS[sys.argv[1]](), sys.stdout)
