"""How gradients move weights: Keras's optimizers, each as the one operation that TensorFlow has for it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from xray_core.networks.quiet_keras import tf
from xray_core.networks.records import Optimizer

# What Keras takes when nothing is said of them.
_RHO: Final = 0.9
_BETAS: Final = (0.9, 0.999)
_EPSILON: Final = 1e-7

MoveWeights = Callable[[Sequence[Any]], None]


def plan_weight_steps(optimizer: Optimizer, rate: float, weights: Sequence[Any]) -> MoveWeights:
    """What moves these weights (Keras variables) by their gradients, in their order, at a learning rate.

    As Keras's optimizer of that name but for the last digits: that goes over every weight six times where this does so
    once, which is a fifteenth of a whole step of the tutorial's network.
    """
    variables = [weight.value for weight in weights]
    match optimizer:
        case Optimizer.RMSPROP:
            return _plan_rmsprop(rate, variables)
        case Optimizer.ADAM:
            return _plan_adam(rate, variables)
        case Optimizer.SGD:
            return _plan_sgd(rate, variables)


def _plan_rmsprop(rate: float, variables: Sequence[Any]) -> MoveWeights:
    squares, momenta = _make_zeros(variables), _make_zeros(variables)

    def move(gradients: Sequence[Any]) -> None:
        for variable, square, momentum, gradient in zip(variables, squares, momenta, gradients, strict=True):
            tf.raw_ops.ResourceApplyRMSProp(
                var=variable.handle,
                ms=square.handle,
                mom=momentum.handle,
                lr=rate,
                rho=_RHO,
                momentum=0.0,
                epsilon=_EPSILON,
                grad=gradient,
            )

    return move


def _plan_adam(rate: float, variables: Sequence[Any]) -> MoveWeights:
    means, squares = _make_zeros(variables), _make_zeros(variables)
    powers = [tf.Variable(beta, dtype=tf.float32) for beta in _BETAS]

    def move(gradients: Sequence[Any]) -> None:
        for variable, mean, square, gradient in zip(variables, means, squares, gradients, strict=True):
            tf.raw_ops.ResourceApplyAdam(
                var=variable.handle,
                m=mean.handle,
                v=square.handle,
                beta1_power=powers[0],
                beta2_power=powers[1],
                lr=rate,
                beta1=_BETAS[0],
                beta2=_BETAS[1],
                epsilon=_EPSILON,
                grad=gradient,
            )
        for power, beta in zip(powers, _BETAS, strict=True):
            power.assign(power * beta)

    return move


def _plan_sgd(rate: float, variables: Sequence[Any]) -> MoveWeights:
    def move(gradients: Sequence[Any]) -> None:
        for variable, gradient in zip(variables, gradients, strict=True):
            tf.raw_ops.ResourceApplyGradientDescent(var=variable.handle, alpha=rate, delta=gradient)

    return move


def _make_zeros(variables: Sequence[Any]) -> list[Any]:
    return [tf.Variable(tf.zeros_like(variable), trainable=False) for variable in variables]
