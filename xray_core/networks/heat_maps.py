"""Where a network looked: Grad-CAM heat maps."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from xray_core.errors import IncompatibleModel
from xray_core.imaging.network_input import scale_pixels
from xray_core.models.records import OutputMeaning
from xray_core.networks.keras_classifier import KerasClassifier
from xray_core.networks.quiet_keras import keras, tf

_BATCH = 16


def grad_cam(classifier: KerasClassifier, grey: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Heat maps (n, height, width) float32 in 0..1 of what speaks for covid in X-rays (n, height, width) uint8.

    The hottest place of all is 1, so that the maps can be compared; a map is all 0 where nothing speaks for covid.
    Method: the last feature maps before they are flattened or pooled away, each place times its own gradient (Draelos
    and Carin, "HiResCAM", 2020). Where a network pools its maps this is Grad-CAM (Selvaraju et al., ICCV 2017); where
    it flattens them, as seed_cnn does, Grad-CAM's averaged gradients leave most maps empty. It shows coarse attention,
    not lesions. Raises IncompatibleModel for a network without feature maps, or whose verdict hangs on none.
    """
    looker = _make_looker(classifier)
    parts = [_explain(looker, classifier, grey[start : start + _BATCH]) for start in range(0, len(grey), _BATCH)]
    heat = np.concatenate(parts) if parts else np.zeros(grey.shape, dtype=np.float32)
    hottest = heat.max(initial=0)
    return heat / hottest if hottest > 0 else heat


def _make_looker(classifier: KerasClassifier) -> keras.Model:
    """The same network with two outputs: its last feature maps, and what its verdict is made from."""
    inputs, steps = _trace(classifier.model)
    # By what the next layer takes: a layer that is a network itself has another output inside than outside.
    maps = [taken for _, taken, _ in steps if _is_map(taken) and not any(taken is given for given in inputs)]
    if not maps:
        raise IncompatibleModel("the network has no feature maps to explain; Grad-CAM needs a convolution")
    last, taken, given = steps[-1]
    # Before the sigmoid: where the network is certain, the sigmoid's own gradient is 0 and the map would be blank.
    is_activation = isinstance(last, keras.layers.Activation) and classifier.output in _SIGMOIDS
    return keras.Model(inputs, [maps[-1], taken if is_activation else given])


def _trace(network: keras.Model) -> tuple[list[Any], list[tuple[keras.Layer, Any, Any]]]:
    """The inputs, and of each layer what it takes and gives.

    A chain of layers is walked anew: one that was loaded from a file was built once for each of its layers, and what
    a layer says of its own input is of the first time.
    """
    layers = [layer for layer in network.layers if not isinstance(layer, keras.layers.InputLayer)]
    if not isinstance(network, keras.Sequential):
        return network.inputs, [(layer, layer.input, layer.output) for layer in layers]
    inputs = [keras.Input(batch_shape=network.inputs[0].shape, dtype=network.inputs[0].dtype)]
    steps, given = [], inputs[0]
    for layer in layers:
        taken, given = given, layer(given)
        steps.append((layer, taken, given))
    return inputs, steps


_SIGMOIDS = (OutputMeaning.SIGMOID_COVID, OutputMeaning.SIGMOID_NORMAL)


def _is_map(tensor: Any) -> bool:
    return hasattr(tensor, "shape") and len(tensor.shape) == 4


def _explain(looker: keras.Model, classifier: KerasClassifier, grey: NDArray[np.uint8]) -> NDArray[np.float32]:
    inputs = tf.constant(scale_pixels(grey, classifier.preprocessing))
    with tf.GradientTape() as tape:
        tape.watch(inputs)  # else a frozen network, which has nothing to learn, records no gradients
        features, verdict = looker(inputs, training=False)
        covid = _speaks_for_covid(verdict, classifier.output)
    gradients = tape.gradient(covid, features)
    if gradients is None:
        raise IncompatibleModel(
            "the network's verdict does not hang on its last feature maps; there is nothing to show"
        )
    heat = tf.nn.relu(tf.reduce_sum(gradients * features, axis=-1, keepdims=True))
    resized: NDArray[np.float32] = tf.image.resize(heat, grey.shape[1:])[..., 0].numpy()
    return resized


def _speaks_for_covid(verdict: Any, output: OutputMeaning) -> Any:
    match output:
        case OutputMeaning.SIGMOID_COVID | OutputMeaning.SOFTMAX_COVID_FIRST:
            return verdict[:, 0]
        case OutputMeaning.SIGMOID_NORMAL:
            return -verdict[:, 0]
        case OutputMeaning.SOFTMAX_NORMAL_FIRST:
            return verdict[:, 1]
