"""A process that did not start the run: python -m tests.keras.resume HOW SAVED RESULT."""

import json
import sys
from pathlib import Path

import keras
import numpy as np

from tests.keras.problem import BATCH, ETA_0, Etas, data, net
from zenith.keras import Zenith, ZenithSGD, attach, export_state, import_state

WINDOW = 5
EPOCHS = 4
HALF = 2
FIT = {"batch_size": BATCH, "shuffle": False, "verbose": 0}


def new_model() -> keras.Model:
    model = net()
    model.compile(keras.optimizers.SGD(ETA_0, momentum=0.9), "mse")
    return model


def train(model: keras.Model, first: int, last: int, *callbacks) -> list[float]:
    etas = Etas()
    x, y = data(16)
    model.fit(x, y, initial_epoch=first, epochs=last, callbacks=[*callbacks, etas], **FIT)
    return etas.seen


def result(model: keras.Model, etas: list[float]) -> dict:
    return {
        "weights": [w.tolist() for w in model.get_weights()],
        "variables": [np.asarray(v.numpy()).tolist() for v in model.optimizer.variables],
        "state": export_state(model.optimizer),
        "etas": etas,
    }


def load(how: str, saved: str) -> keras.Model:
    if how == "keras":
        return keras.models.load_model(saved)
    model = new_model()
    if how == "weights, attached, not built":
        attach(model.optimizer, window=WINDOW)
        model.load_weights(saved)
    if how == "weights, ZenithSGD, built":
        model.compile(ZenithSGD(ETA_0, momentum=0.9, window=WINDOW), "mse")
        model.optimizer.build(model.trainable_variables)
        model.load_weights(saved)
    if how == "tf.train.Checkpoint":
        import tensorflow as tf

        attach(model.optimizer, window=WINDOW)
        model.optimizer.build(model.trainable_variables)
        checkpoint = tf.train.Checkpoint(model=model, optimizer=model.optimizer)
        checkpoint.restore(saved).assert_consumed()
    if how == "portable":
        attach(model.optimizer, window=WINDOW)
        model.optimizer.build(model.trainable_variables)
        import_state(model.optimizer, json.loads(Path(saved).read_text()))
    return model


def main(how: str, saved: str, out: str) -> None:
    if how == "BackupAndRestore":
        model = new_model()
        backup = keras.callbacks.BackupAndRestore(saved, delete_checkpoint=False)
        etas = train(model, 0, EPOCHS, Zenith(window=WINDOW), backup)
        loaded = None
    else:
        model = load(how, saved)
        if not model.optimizer.built:
            model.optimizer.build(model.trainable_variables)
        loaded = result(model, [])
        etas = train(model, HALF, EPOCHS)
    Path(out).write_text(json.dumps({"loaded": loaded, "trained": result(model, etas)}))


if __name__ == "__main__":
    main(*sys.argv[1:])
