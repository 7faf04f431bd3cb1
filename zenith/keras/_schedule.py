"""A Keras learning-rate schedule whose value is the learning rate of ZENITH."""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUntypedBaseClass=false, reportUntypedClassDecorator=false
# pyright: reportUntypedFunctionDecorator=false, reportUnknownArgumentType=false
# (Keras is not annotated)

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

import keras
from keras.optimizers.schedules import LearningRateSchedule

from zenith.keras._rule import Settings, Tensor, check_agreement, check_settings

if TYPE_CHECKING:
    from zenith.keras._optimizer import ZenithSGD


@keras.saving.register_keras_serializable(package="zenith")
class ZenithSchedule(LearningRateSchedule):
    """The learning rate of ZENITH as a schedule object, for code that wants one.

    A schedule in Keras is told the iteration and nothing else, so the gradient norms reach it
    through the optimizer that uses it: the `Zenith` callback, `attach(optimizer)` or `ZenithSGD`
    feed it. A schedule that nothing feeds raises when its value is asked for; it would otherwise be
    a constant.

    Args:
      learning_rate: eta_0, a float, or a `LearningRateSchedule` whose value the scale multiplies.
      window: number W of gradient norms that are averaged; at least 1.
      min_scale: smallest factor on the learning rate, in [0, 1).
      spike_factor: a norm counts for at most this many times the current mean; above 1, or None.

    Raises:
      TypeError: `window` is not an integer.
      ValueError: an argument lies outside its range.

    Example:

    ```python
    schedule = ZenithSchedule(0.1, window=100)
    model.compile(keras.optimizers.SGD(schedule, momentum=0.9), loss="mse")
    model.fit(x, y, callbacks=[Zenith(window=100)])
    ```

    Source: eta_t = eta_0 * mu_t / Z_t, arXiv 2601.15212, equation 3.
    """

    def __init__(
        self,
        learning_rate: float | LearningRateSchedule = 0.1,
        window: int = 500,
        *,
        min_scale: float = 0.0,
        spike_factor: float | None = None,
    ) -> None:
        if not isinstance(learning_rate, float | LearningRateSchedule):
            raise ValueError(
                "`learning_rate` must be a float or a keras LearningRateSchedule. "
                f"Received: learning_rate={learning_rate!r}"
            )
        self.initial_learning_rate = learning_rate
        self.settings = check_settings(window, min_scale, spike_factor)
        self._fed_by: weakref.ref[ZenithSGD] | None = None

    def __call__(self, step: Tensor) -> Tensor:
        """Learning rate eta_t of the iteration that the optimizer is in.

        Args:
          step: int scalar, what Keras hands over; only a schedule as base learning rate reads it.

        Returns:
          A float32 scalar tensor.

        Raises:
          RuntimeError: no optimizer feeds this schedule.
        """
        optimizer = self._feeder()
        if optimizer is None:
            window = self.settings.window
            raise RuntimeError(
                "This `ZenithSchedule` has no gradients to follow: nothing feeds it. Pass the "
                f"callback `zenith.keras.Zenith(window={window})` to `fit`, or call "
                f"`zenith.keras.attach(optimizer, window={window})` before the first step. "
                "Received: optimizer=None"  # not the step: Keras 3.10 cannot print it in a graph
            )
        base = self.initial_learning_rate
        return optimizer.scale * (base if isinstance(base, float) else base(step))

    def follow(self, optimizer: ZenithSGD, settings: Settings) -> None:
        """Take the scale from `optimizer`; ValueError if it differs, or if another one feeds it."""
        check_agreement(self.settings, settings, "The `ZenithSchedule`")
        feeder = self._feeder()
        if feeder is not None and feeder is not optimizer:
            raise ValueError(
                "A `ZenithSchedule` follows the gradients of one optimizer. Create one for each "
                f"optimizer. Received: optimizer={optimizer.name!r}, but {feeder.name!r} feeds it"
            )
        self._fed_by = weakref.ref(optimizer)

    def _feeder(self) -> ZenithSGD | None:
        return None if self._fed_by is None else self._fed_by()

    def get_config(self) -> dict[str, Any]:
        base = self.initial_learning_rate
        return {
            "learning_rate": base
            if isinstance(base, float)
            else keras.saving.serialize_keras_object(base),
            **self.settings._asdict(),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> ZenithSchedule:
        base = config["learning_rate"]
        if isinstance(base, dict):
            config = {**config, "learning_rate": keras.saving.deserialize_keras_object(base)}
        return cls(**config)

    def __reduce__(self) -> tuple[Any, ...]:
        # A copy belongs to no optimizer yet; a weak reference can be neither copied nor pickled.
        return type(self).from_config, (self.get_config(),)
