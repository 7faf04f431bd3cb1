"""What ZENITH adds to a training step of Keras, in CPU seconds, against plain SGD.

    KERAS_BACKEND=torch python benchmarks/keras_cost.py

Three equal models take turns in one process, on one thread: SGD, SGD again (the control: what two
equal things differ by), and SGD with the callback. A round times the same steps of each, in an
order that rotates; the figures are medians over rounds of the paired ratio, that of ZENITH to the
mean of the two others, with a bootstrap interval of 95 %. "The hook alone" is what ZENITH adds
(norm, rule, state), called by itself on gradients of the same shapes: on a busy machine it is the
figure with the least noise.
"""

import argparse
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ["XLA_FLAGS"] = os.environ.get("XLA_FLAGS", "") + " --xla_cpu_multi_thread_eigen=false"

import time
import warnings
from collections.abc import Callable

import keras
import numpy as np

from zenith.keras import Zenith, ZenithSGD

layers = keras.layers


def vgg_like() -> keras.Model:
    """The convolutions of VGG-11 for 32 x 32 images: 9.2 million parameters."""
    model = keras.Sequential([layers.Input((32, 32, 3))])
    for width, pool in zip(
        [64, 128, 256, 256, 512, 512, 512, 512], [1, 1, 0, 1, 0, 1, 0, 1], strict=True
    ):
        model.add(layers.Conv2D(width, 3, padding="same", use_bias=False))
        model.add(layers.BatchNormalization())
        model.add(layers.ReLU())
        if pool:
            model.add(layers.MaxPooling2D())
    model.add(layers.Flatten())
    model.add(layers.Dense(10))
    return model


def small_cnn() -> keras.Model:
    """Three convolutions for 28 x 28 images: 30 thousand parameters."""
    model = keras.Sequential([layers.Input((28, 28, 1))])
    for width in (16, 32, 64):
        model.add(layers.Conv2D(width, 3, padding="same", activation="relu"))
        model.add(layers.MaxPooling2D())
    model.add(layers.Flatten())
    model.add(layers.Dense(10))
    return model


# make, batch, steps in a turn, the limit that the docs name
NETS = {"VGG-like": (vgg_like, 64, 2, 0.01), "small CNN": (small_cnn, 64, 20, 0.04)}


def contender(make: Callable[[], keras.Model], batch: int, steps: int, *callbacks: Zenith):
    """A function that trains for `steps` steps and returns the CPU seconds of one."""
    keras.utils.set_random_seed(0)
    model = make()
    model.compile(
        keras.optimizers.SGD(0.01, momentum=0.9),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    rng = np.random.default_rng(0)
    x = rng.normal(size=(batch * steps, *model.input_shape[1:])).astype("float32")
    y = rng.integers(0, 10, batch * steps)

    def train() -> float:
        start = time.process_time()
        model.fit(x, y, batch_size=batch, shuffle=False, verbose=0, callbacks=list(callbacks))
        return (time.process_time() - start) / steps

    return train


def hook_alone(make: Callable[[], keras.Model]) -> float:
    """CPU seconds of the norm, the rule and the state's variables, compiled as in training."""
    variables = make().trainable_variables
    rng = np.random.default_rng(0)
    grads = [keras.ops.convert_to_tensor(rng.normal(size=v.shape), "float32") for v in variables]
    optimizer = ZenithSGD(0.1)
    optimizer.build(variables)
    state = [v.value for v in optimizer.variables]

    def hook(*grads):
        optimizer._clip_gradients(list(grads))
        return optimizer.learning_rate

    def stateless(state, grads):
        mapping = list(zip(optimizer.variables, state, strict=True))
        with keras.StatelessScope(mapping) as scope:
            hook(*grads)
        return [scope.get_current_value(v) for v in optimizer.variables]

    backend = keras.backend.backend()
    if backend == "jax":
        import jax

        compiled = jax.jit(stateless)
        call = lambda: jax.block_until_ready(compiled(state, grads))  # noqa: E731
    elif backend == "tensorflow":
        import tensorflow as tf

        compiled = tf.function(hook)
        call = lambda: compiled(*grads)  # noqa: E731
    else:
        call = lambda: hook(*grads)  # noqa: E731
    seconds: list[float] = []
    for _ in range(60):
        start = time.process_time()
        call()
        seconds.append(time.process_time() - start)
    return float(np.median(seconds[10:]))


def interval(ratios: np.ndarray) -> tuple[float, float, float]:
    rng = np.random.default_rng(0)
    medians = np.median(rng.choice(ratios, (2000, len(ratios))), axis=1)
    return float(np.median(ratios)), *map(float, np.quantile(medians, [0.025, 0.975]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=25)
    parser.add_argument("--net", choices=NETS, action="append")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")  # of the frameworks

    backend = keras.backend.backend()
    if backend == "torch":
        import torch

        torch.set_num_threads(1)
    if backend == "tensorflow":
        import tensorflow as tf

        tf.config.threading.set_intra_op_parallelism_threads(1)
        tf.config.threading.set_inter_op_parallelism_threads(1)

    print(f"Keras {keras.__version__} on {backend}, {arguments.rounds} rounds, W = 500", flush=True)
    for name in arguments.net or NETS:
        make, batch, steps, limit = NETS[name]
        contenders = [
            contender(make, batch, steps),
            contender(make, batch, steps),
            contender(make, batch, steps, Zenith()),
        ]
        for train in contenders:
            train(), train()  # compile, and fill the caches
        seconds = np.empty((arguments.rounds, 3))
        for i in range(arguments.rounds):
            for j in np.roll(range(3), i):
                seconds[i, j] = contenders[j]()
        sgd, again, zenith = seconds.T
        print(f"{name}, batch {batch}: SGD {np.median(sgd) * 1e3:.2f} ms a step")
        for label, ratio in (("SGD again", again / sgd), ("ZENITH", 2 * zenith / (sgd + again))):
            middle, low, high = interval(ratio - 1)
            print(f"  {label:9} {middle:+.2%}  [{low:+.2%}, {high:+.2%}]")
        verdict = "within" if high <= limit else "over" if low > limit else "too noisy to tell from"
        hook = hook_alone(make)
        print(f"  the hook alone {hook * 1e3:.3f} ms, {hook / np.median(sgd):.2%} of a step of SGD")
        print(f"  {verdict} the limit of {limit:.0%}", flush=True)


if __name__ == "__main__":
    main()
