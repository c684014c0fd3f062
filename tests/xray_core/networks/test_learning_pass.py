"""The short forward pass and the one-operation optimizers: what Keras's own make of the same numbers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from xray_core.imaging.network_input import scale_pixels
from xray_core.imaging.records import Preprocessing, Scaling
from xray_core.networks.architectures import build_network, default_preprocessing
from xray_core.networks.learning_pass import LearningPass, plan_pass
from xray_core.networks.quiet_keras import keras, tf
from xray_core.networks.records import Architecture, Optimizer
from xray_core.networks.weight_steps import plan_weight_steps

pytestmark = pytest.mark.keras

SIZE = 31  # odd: the poolings drop a row and a column


def make_network(preprocessing: Preprocessing) -> keras.Model:
    """The tutorial's, without chance in it, and with biases that are no zeros."""
    size = (preprocessing.height, preprocessing.width)
    network = build_network(Architecture.SEED_CNN, input_size=size, seed=3)
    for layer in network.layers:
        if isinstance(layer, keras.layers.Dropout):
            layer.rate = 0.0
        if layer.weights:
            layer.bias.assign(np.linspace(-0.1, 0.1, layer.bias.shape[0]))
    return network


def learn_once(network: keras.Model, learning: LearningPass, greys: Any) -> tuple[Any, list[Any]]:
    """P(covid), and the gradient of its mean by every weight."""
    with tf.GradientTape() as tape:
        probability = learning.run(tf.constant(scale_pixels(greys, learning.preprocessing)))
        mean = tf.reduce_mean(probability)
    return probability.numpy(), [gradient.numpy() for gradient in tape.gradient(mean, network.trainable_variables)]


@pytest.mark.parametrize("scaling", [Scaling.UNIT, Scaling.MINUS_ONE_TO_ONE])
def test_the_short_pass_gives_the_scores_and_the_gradients_of_the_layers(scaling: Scaling) -> None:
    preprocessing = replace(default_preprocessing(Architecture.SEED_CNN, SIZE), scaling=scaling)
    network = make_network(preprocessing)
    greys = np.random.default_rng(0).integers(0, 256, (6, SIZE, SIZE)).astype(np.uint8)
    greys[:, :12] = 0  # a black border: there all four places of a pooling are alike
    short = plan_pass(network, Architecture.SEED_CNN, preprocessing)
    layers = LearningPass(lambda numbers: network(numbers, training=True), preprocessing)

    scores, gradients = learn_once(network, short, greys)
    expected_scores, expected_gradients = learn_once(network, layers, greys)

    assert short.preprocessing.channels == 1
    np.testing.assert_allclose(scores, expected_scores, rtol=1e-5)
    for gradient, expected in zip(gradients, expected_gradients, strict=True):
        np.testing.assert_allclose(gradient, expected, rtol=1e-3, atol=1e-6 * np.abs(expected).max() + 1e-9)


def test_what_has_channels_of_its_own_and_every_other_network_run_as_they_are() -> None:
    of_colours = replace(default_preprocessing(Architecture.SEED_CNN, SIZE), scaling=Scaling.CAFFE)
    large = default_preprocessing(Architecture.EFFICIENTNET_LITE0, 64)

    assert plan_pass(make_network(of_colours), Architecture.SEED_CNN, of_colours).preprocessing == of_colours
    assert plan_pass(keras.Sequential(), Architecture.EFFICIENTNET_LITE0, large).preprocessing == large


@pytest.mark.parametrize(
    ("optimizer", "of_keras"),
    [(Optimizer.RMSPROP, "RMSprop"), (Optimizer.ADAM, "Adam"), (Optimizer.SGD, "SGD")],
)
def test_weights_are_moved_as_keras_moves_them(optimizer: Optimizer, of_keras: str) -> None:
    random = np.random.default_rng(1)
    begin = random.normal(size=(5, 4)).astype(np.float32)
    ours, theirs = (keras.Variable(begin) for _ in range(2))
    expected = getattr(keras.optimizers, of_keras)(0.01)
    move = plan_weight_steps(optimizer, 0.01, [ours])

    for gradient in random.normal(size=(20, 5, 4)).astype(np.float32):
        move([tf.constant(gradient)])
        expected.apply([tf.constant(gradient)], [theirs])

    assert np.abs(ours.numpy() - begin).max() > 0.01
    np.testing.assert_allclose(ours.numpy(), theirs.numpy(), rtol=1e-4, atol=1e-5)
