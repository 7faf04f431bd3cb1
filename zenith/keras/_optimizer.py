"""SGD whose learning rate follows the history of the gradient norm."""

# pyright: reportMissingTypeStubs=false, reportMissingImports=false, reportMissingModuleSource=false
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportUntypedBaseClass=false
# pyright: reportUntypedClassDecorator=false, reportPrivateUsage=false
# (Keras is not annotated; attach and the functions below it are ZenithSGD's friends)

import threading
import warnings
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from zenith.core import (
    ZenithState,
    from_portable,
    init,
    to_portable,
    update,
)
from zenith.keras._grad_norm import grad_norm
from zenith.keras._rule import Settings, Tensor, backend_ops, check_agreement, check_settings
from zenith.keras._schedule import ZenithSchedule
from zenith.log import Snapshot

if TYPE_CHECKING or keras.backend.backend() != "torch":
    _SGD = keras.optimizers.SGD
else:
    # What keras.optimizers.SGD(...) makes there: it updates all variables in a few calls.
    from keras.src.backend.torch.optimizers.torch_sgd import SGD as _SGD

_ops: Any = keras.ops  # without annotations, what pyright infers of it is mostly wrong
_RULE_OPS = backend_ops()
_SAVED_AS = [f"zenith_{field}" for field in ZenithState._fields]
_SCALE = ZenithState._fields.index("scale")
_handed_on = threading.local()  # TensorFlow runs each replica in a thread of its own


@keras.saving.register_keras_serializable(package="zenith")
class ZenithSGD(_SGD):
    """Keras's SGD under the learning rate of ZENITH, for loops of every kind.

    In each real step (not one that a loss scaler skips or that only accumulates) the norm of the
    unscaled, accumulated, not yet clipped gradient moves the rule, and the learning rate of that
    same step already knows it. `learning_rate` shows eta_t; setting it scales eta_0, so that
    `optimizer.learning_rate = optimizer.learning_rate` changes nothing.

    Args:
      learning_rate: eta_0, a float, or a `LearningRateSchedule` or a callable whose value the scale
        multiplies.
      momentum: as in `keras.optimizers.SGD`.
      nesterov: as in `keras.optimizers.SGD`.
      window: number W of gradient norms that are averaged; at least 1.
      min_scale: smallest factor on the learning rate, in [0, 1). The default 0 is the paper's rule.
      spike_factor: once the window is full, a norm counts for at most this many times the current
        mean; above 1. The default None is the paper's rule.
      **kwargs: the other arguments of `keras.optimizers.SGD`: `weight_decay`, `clipnorm`,
        `gradient_accumulation_steps` and so on.

    Raises:
      TypeError: `window` is not an integer.
      ValueError: an argument lies outside its range.

    Example:

    ```python
    optimizer = ZenithSGD(learning_rate=0.1, momentum=0.9, window=500)
    model.compile(optimizer, loss="mse")
    ```

    Source: arXiv 2601.15212, Algorithm 1, equations 1-3.
    """

    def __init__(
        self,
        learning_rate: Any = 0.1,
        momentum: float = 0.0,
        nesterov: bool = False,
        *,
        window: int = 500,
        min_scale: float = 0.0,
        spike_factor: float | None = None,
        **kwargs: Any,
    ) -> None:
        settings = check_settings(window, min_scale, spike_factor)
        super().__init__(learning_rate, momentum, nesterov, **kwargs)
        self._follow(settings)

    def _follow(self, settings: Settings) -> None:
        """What the constructor adds to SGD's, for one that exists already."""
        if isinstance(self._learning_rate, ZenithSchedule):
            self._learning_rate.follow(self, settings)
        self.window, self.min_scale, self.spike_factor = settings
        self._history: list[Any] = []  # the fields of ZenithState as Keras variables, once built
        self._unrestored: dict[str, Any] | None = None

    # What the user reads and sets.

    @property
    def scale(self) -> Tensor:
        """eta_t / eta_0, a float32 scalar in [0, 1]; 1 before the optimizer is built."""
        return self._state().scale if self._history else _ops.ones((), "float32")

    @property
    def grad_norm(self) -> Tensor:
        """The last gradient norm that entered the window, a float32 scalar; 0 before the first."""
        return self._state().norms[-1] if self._history else _ops.zeros((), "float32")

    @property
    def learning_rate(self) -> Tensor:
        """eta_t. Setting it changes eta_0 such that eta_t is what was set."""
        return self._get_current_learning_rate()

    @learning_rate.setter
    def learning_rate(self, value: Any) -> None:
        if not callable(value) and not callable(self._learning_rate):
            base = _ops.convert_to_tensor(self._learning_rate)
            value = _ops.cast(value, base.dtype)
            scale = _ops.cast(self.scale, base.dtype)
            divisor = _ops.where(scale > 0, scale, 1)
            # Multiplied and divided by the scale eta_0 may come back one ulp off, and as 0 from a
            # scale of 0.
            value = _ops.where(value == base * scale, base, value / divisor)
        if isinstance(value, ZenithSchedule):
            value.follow(self, self._settings())
        _SGD.learning_rate.__set__(self, value)

    def snapshot(self) -> Snapshot:
        """What `zenith.log.LogWriter` writes of the last step; outside of a compiled function."""
        history = [variable.numpy() for variable in self._history] or init(self.window)
        lr = float(self.learning_rate)
        return Snapshot(int(self.iterations), lr, ZenithState(*history))

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor; `learning_rate` is eta_0."""
        return super().get_config() | self._settings()._asdict()

    def _settings(self) -> Settings:
        return Settings(self.window, self.min_scale, self.spike_factor)

    # The state: Keras variables, which every trainer, checkpoint and distribution carries.

    def build(self, variables: list[Any]) -> None:
        """Create the variables of SGD and, after them, those of ZENITH."""
        if self.built:
            return
        super().build(variables)
        self._add_history()
        if self._unrestored is not None:
            with _outside_of_graphs():
                self.load_own_variables(self._unrestored)
            self._unrestored = None

    def _add_history(self) -> None:
        self._history = [
            self.add_variable(
                shape=value.shape,
                initializer="ones" if value.any() else "zeros",
                dtype=value.dtype.name,
                aggregation="only_first_replica",
                name=name,
            )
            for name, value in zip(_SAVED_AS, map(np.asarray, init(self.window)), strict=True)
        ]

    def _state(self) -> ZenithState:
        return ZenithState(*(_ops.convert_to_tensor(field) for field in self._history))

    def _set_state(self, state: ZenithState) -> None:
        for variable, value in zip(self._history, state, strict=True):
            variable.assign(value)

    def save_own_variables(self, store: Any) -> None:
        """Write SGD's variables by index, as Keras does, and ZENITH's by name."""
        of_zenith = len(self._history)
        for index, variable in enumerate(self.variables[: len(self.variables) - of_zenith]):
            store[str(index)] = variable.numpy()
        for name, variable in zip(_SAVED_AS, self._history, strict=False):
            store[name] = variable.numpy()

    def load_own_variables(self, store: Any) -> None:
        """Read what `save_own_variables`, or a plain SGD, wrote.

        An optimizer that is not built yet, such as one that was copied or unpickled without its
        model, keeps what it is given and takes it over in `build`.
        """
        if not self.built:
            self._unrestored = {key: np.array(store[key]) for key in store.keys()}  # noqa: SIM118
            return
        saved = {key: store[key] for key in store.keys()}  # noqa: SIM118
        history = [saved.pop(name) for name in _SAVED_AS if name in saved]
        if not history:
            warnings.warn(
                f"The saved state of optimizer {self.name!r} is that of an SGD without ZENITH: "
                f"the window of {self.window} gradient norms starts empty.",
                stacklevel=2,
            )
            history = init(self.window)
        if len(history[0]) != self.window:
            raise ValueError(
                "The saved state and the optimizer must have the same `window`. Received: "
                f"window={len(history[0])} saved, window={self.window} in {self.name!r}. Create "
                f"the optimizer or the callback with window={len(history[0])}"
            )
        first = len(self.variables) - len(self._history)
        saved |= {str(first + index): np.asarray(value) for index, value in enumerate(history)}
        super().load_own_variables(saved)

    # Keras's private interface, all of it. tests/keras/test_private_api.py names what must hold.

    def _clip_gradients(self, grads: Sequence[Tensor]) -> Sequence[Tensor]:
        # The first call of a real step on every backend: the gradients are unscaled and
        # accumulated, and neither weight decay nor the update has read the learning rate.
        whole = self._sum_over_replicas(grads)
        self._set_state(
            update(
                self._state(),
                grad_norm(whole),
                min_scale=self.min_scale,
                spike_factor=self.spike_factor,
                ops=_RULE_OPS,
            )
        )
        clipped = super()._clip_gradients(grads)
        if whole is not grads and clipped is grads:
            _handed_on.grads = whole
            return whole
        # Keras clips what each replica has before it reduces; then it has to reduce once more.
        return clipped

    def _sum_over_replicas(self, grads: Sequence[Tensor]) -> Sequence[Tensor]:
        if keras.backend.backend() != "tensorflow":
            return grads
        import tensorflow as tf

        replica = tf.distribute.get_replica_context()
        if replica is None or replica.num_replicas_in_sync == 1:
            return grads
        return replica.all_reduce(tf.distribute.ReduceOp.SUM, list(grads))

    def _all_reduce_sum_gradients(self, grads_and_vars: list[Any]) -> list[Any]:
        handed_on = getattr(_handed_on, "grads", None)
        _handed_on.grads = None
        if handed_on is not None and handed_on[0] is grads_and_vars[0][0]:
            return grads_and_vars
        return super()._all_reduce_sum_gradients(grads_and_vars)

    def _get_current_learning_rate(self) -> Tensor:
        learning_rate = super()._get_current_learning_rate()
        if not self._history or isinstance(self._learning_rate, ZenithSchedule):
            return learning_rate
        return _ops.multiply(learning_rate, self._history[_SCALE])

    def _variable_scope(self) -> Any:
        strategy = getattr(self, "_distribution_strategy", None)
        return nullcontext() if strategy is None else strategy.scope()


def attach(
    optimizer: Any,
    window: int = 500,
    *,
    min_scale: float = 0.0,
    spike_factor: float | None = None,
) -> Any:
    """Turn an SGD into a `ZenithSGD` in place; its variables and iteration stay.

    Attach before the first step: TensorFlow does not look at an optimizer again once a train
    function is compiled, and warns here. (The callback `Zenith` has the model make a new one.)

    Args:
      optimizer: a `keras.optimizers.SGD`, or a `LossScaleOptimizer` around one.
      window: number W of gradient norms that are averaged; at least 1.
      min_scale: smallest factor on the learning rate, in [0, 1). The default 0 is the paper's rule.
      spike_factor: once the window is full, a norm counts for at most this many times the current
        mean; above 1. The default None is the paper's rule.

    Returns:
      `optimizer`.

    Raises:
      TypeError: `optimizer` is not SGD, or `window` is not an integer.
      ValueError: an argument lies outside its range, or `optimizer` already follows ZENITH with
        other settings.

    Example:

    ```python
    optimizer = attach(keras.optimizers.SGD(0.1, momentum=0.9), window=500)
    ```

    Source: arXiv 2601.15212, Algorithm 1.
    """
    newly = attach_settings(optimizer, check_settings(window, min_scale, spike_factor))
    compiled = keras.backend.backend() == "tensorflow" and int(optimizer.iterations) > 0
    if newly and compiled:
        warnings.warn(
            f"The optimizer {optimizer.name!r} has taken {int(optimizer.iterations)} steps. A "
            "train function that TensorFlow compiled before now goes on without ZENITH: call "
            "`model.make_train_function(force=True)`, trace your own tf.function again, or use the "
            "callback `Zenith`.",
            stacklevel=2,
        )
    return optimizer


def attach_settings(optimizer: Any, settings: Settings) -> bool:
    """Do what `attach` promises; return whether `optimizer` was a plain SGD before."""
    sgd = _unwrap(optimizer)
    if isinstance(sgd, ZenithSGD):
        check_agreement(sgd._settings(), settings, f"The optimizer {sgd.name!r}")
        return False
    if type(sgd) is not _SGD:
        raise TypeError(_not_sgd(sgd))
    if isinstance(sgd._learning_rate, ZenithSchedule):
        check_agreement(sgd._learning_rate.settings, settings, "The `ZenithSchedule`")
    sgd.__class__ = ZenithSGD
    sgd._follow(settings)
    if sgd.built:
        with sgd._variable_scope():
            sgd._add_history()
    return True


def export_state(optimizer: Any) -> dict[str, Any]:
    """What ZENITH remembers, as a plain dict that every framework can continue from.

    Args:
      optimizer: a `ZenithSGD`, an optimizer to which ZENITH was attached, or a `LossScaleOptimizer`
        around one.

    Returns:
      The dict of `zenith.core.to_portable`: JSON-safe, and the same on every backend.

    Raises:
      TypeError: ZENITH is not attached to `optimizer`.

    Example:

    ```python
    import_state(other_optimizer, export_state(optimizer))
    ```
    """
    sgd = require_zenith(optimizer)
    if not sgd._history:
        return to_portable(init(sgd.window))
    return to_portable(ZenithState(*(variable.numpy() for variable in sgd._history)))


def import_state(optimizer: Any, portable: Mapping[str, Any]) -> None:
    """Continue from what `export_state` of any front end of zenith returned, bit for bit.

    Args:
      optimizer: a built `ZenithSGD`, or an optimizer that holds one.
      portable: a mapping with the keys of `zenith.core.to_portable`.

    Raises:
      TypeError: ZENITH is not attached to `optimizer`.
      ValueError: `optimizer` is not built, or `portable` is not a state with its window. Nothing
        is changed then.
    """
    sgd = require_zenith(optimizer)
    if not sgd.built:
        raise ValueError(
            "`import_state` needs an optimizer that has its variables. Call "
            "`optimizer.build(model.trainable_variables)` first. "
            f"Received: optimizer={sgd.name!r}, not built"
        )
    sgd._set_state(from_portable(portable, window=sgd.window, min_scale=sgd.min_scale))


def require_zenith(optimizer: Any) -> ZenithSGD:
    """The `ZenithSGD` that `optimizer` is or wraps; TypeError if there is none."""
    sgd = _unwrap(optimizer)
    if not isinstance(sgd, ZenithSGD):
        raise TypeError(
            "ZENITH is not attached to this optimizer; use `zenith.keras.attach(optimizer)` or "
            f"`ZenithSGD`. Received: optimizer={optimizer!r}"
        )
    return sgd


def _outside_of_graphs() -> Any:
    # TensorFlow builds an optimizer while it traces the first step; what is assigned there is
    # assigned in every step, or in none.
    if keras.backend.backend() != "tensorflow":
        return nullcontext()
    import tensorflow as tf

    return tf.init_scope()


def _unwrap(optimizer: Any) -> Any:
    if isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
        return optimizer.inner_optimizer
    return optimizer


def _not_sgd(optimizer: Any) -> str:
    advice = "Use `keras.optimizers.SGD(learning_rate=0.1, momentum=0.9)`."
    if isinstance(optimizer, keras.optimizers.SGD):
        advice = "Derive your class from `zenith.keras.ZenithSGD` in place of it."
    return (
        "ZENITH sets the learning rate of `keras.optimizers.SGD` itself, alone or in a "
        "`LossScaleOptimizer`: methods that rescale each coordinate, as Adam does, are outside "
        f"the paper, and a wrapper or a subclass may step in another way. {advice} "
        f"Received: optimizer={optimizer!r} of type {type(optimizer).__name__}"
    )
