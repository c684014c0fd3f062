"""What a foreign network takes and says is read from its numbers, or asked for; never assumed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from xray_core.errors import IncompatibleModel
from xray_core.imaging.network_input import scale_pixels
from xray_core.imaging.records import Preprocessing, Scaling
from xray_core.models.records import OutputMeaning
from xray_core.networks.foreign.inspection import Inspection, inspect_model
from xray_core.networks.foreign.output import OutputRequest
from xray_core.networks.input_range import choose_scaling, read_input_line
from xray_core.networks.quiet_keras import keras
from xray_core.records import Label

pytestmark = pytest.mark.keras

layers = keras.layers
COVID, NORMAL = OutputRequest("covid"), OutputRequest("normal")
THREE = ("normal", "covid", "pneumonia")


def end_with(*last: keras.layers.Layer, shape: tuple[int | None, ...] = (30, 30, 3)) -> keras.Model:
    return keras.Sequential([keras.Input(shape), layers.Conv2D(2, 3), layers.GlobalAveragePooling2D(), *last])


def sigmoid() -> keras.layers.Layer:
    return layers.Dense(1, activation="sigmoid")


def begin_with(steps: Callable[[Any], Any], channels: int = 3) -> keras.Model:
    """A network whose input goes through `steps` before its first weights."""
    given = keras.Input((32, 32, channels))
    return keras.Model(given, sigmoid()(layers.GlobalAveragePooling2D()(layers.Conv2D(2, 3)(steps(given)))))


def inspect(model: keras.Model, request: OutputRequest = COVID, **given: Any) -> Inspection:
    return inspect_model(model, request, **{"scaling": Scaling.UNIT, **given})


def normalization(mean: list[float], variance: list[float]) -> keras.layers.Layer:
    return layers.Normalization(mean=np.array(mean), variance=np.array(variance))


def learned_batch_norm(given: Any) -> Any:
    layer = layers.BatchNormalization()
    result = layer(given)
    layer.set_weights([np.ones(3), np.zeros(3), np.full(3, 121.0), np.full(3, 62.0**2)])
    return result


STEPS: dict[str, tuple[Callable[[Any], Any], Scaling]] = {
    "rescaling to 0..1": (layers.Rescaling(1 / 255), Scaling.NONE),
    "rescaling by 256": (layers.Rescaling(1 / 256), Scaling.NONE),
    "rescaling to -1..1": (layers.Rescaling(1 / 127.5, offset=-1.0), Scaling.NONE),
    "rescaling of 0..1 to -1..1": (layers.Rescaling(2.0, offset=-1.0), Scaling.UNIT),
    "rescaling of -1..1 to 0..1": (layers.Rescaling(0.5, offset=0.5), Scaling.MINUS_ONE_TO_ONE),
    "division": (lambda x: x / 255.0, Scaling.NONE),
    "arithmetic in two steps": (lambda x: x / 127.5 - 1.0, Scaling.NONE),
    "subtraction before division": (lambda x: (x - 127.5) / 127.5, Scaling.NONE),
    "arithmetic on 0..1": (lambda x: (x - 0.5) * 2.0, Scaling.UNIT),
    "ImageNet statistics of pixels": (
        normalization([123.7, 116.3, 103.5], [58.4**2, 57.1**2, 57.4**2]),
        Scaling.NONE,
    ),
    "ImageNet statistics of 0..1": (normalization([0.485, 0.456, 0.406], [0.229**2, 0.224**2, 0.225**2]), Scaling.UNIT),
    "learned batch statistics": (learned_batch_norm, Scaling.NONE),
    "caffe preprocess_input": (keras.applications.resnet50.preprocess_input, Scaling.NONE),
    "tf preprocess_input": (keras.applications.mobilenet_v2.preprocess_input, Scaling.NONE),
    "torch preprocess_input": (keras.applications.densenet.preprocess_input, Scaling.NONE),
    "resized, padded and scaled": (
        lambda x: layers.ZeroPadding2D(2)(layers.Rescaling(1 / 255)(layers.Resizing(24, 24)(x))),
        Scaling.NONE,
    ),
    "scaled inside a nested model": (
        keras.Sequential([keras.Input((32, 32, 3)), layers.Rescaling(1 / 255)]),
        Scaling.NONE,
    ),
}


@pytest.mark.parametrize("name", STEPS)
def test_the_numbers_that_a_network_wants_are_read_from_its_first_steps(name: str) -> None:
    steps, expected = STEPS[name]

    inspection = inspect(begin_with(steps), scaling=None)

    assert inspection.preprocessing.scaling is expected
    assert len(inspection.notes) == 1
    assert inspection.notes[0].startswith("it takes ")


@pytest.mark.parametrize("name", STEPS)
def test_what_reaches_the_weights_then_is_what_numpy_says(name: str) -> None:
    steps, expected = STEPS[name]
    model = begin_with(steps)
    grey = np.full((1, 32, 32), 200, dtype=np.uint8)
    line = read_input_line(model, (32, 32, 3))
    assert line is not None

    given = scale_pixels(grey, Preprocessing(32, 32, 3, expected))[0, 16, 16].astype(np.float64)

    own = keras.Model(model.input, model.layers[-3].input)(scale_pixels(grey, Preprocessing(32, 32, 3, expected)))
    centre = np.asarray(own)[0, own.shape[1] // 2, own.shape[2] // 2]
    np.testing.assert_allclose(line.offset + line.slope * given, centre, rtol=1e-4, atol=1e-4)


UNREADABLE: dict[str, Callable[[Any], Any]] = {
    "nothing": lambda x: x,
    "a range of nobody": layers.Rescaling(0.1),
    "standardised picture by picture": lambda x: x - keras.ops.mean(x, axis=(1, 2, 3), keepdims=True),
    "a square": lambda x: x * x / 65025.0,
}


@pytest.mark.parametrize("name", UNREADABLE)
def test_where_the_numbers_do_not_tell_the_scaling_is_asked_for(name: str) -> None:
    model = begin_with(UNREADABLE[name])

    with pytest.raises(IncompatibleModel, match=r"say it: --scaling none for grey levels 0\.\.255; --scaling unit"):
        inspect(model, scaling=None)
    assert inspect(model, scaling=Scaling.CAFFE).preprocessing.scaling is Scaling.CAFFE


def test_a_given_scaling_that_contradicts_the_numbers_is_kept_and_said() -> None:
    inspection = inspect(begin_with(layers.Rescaling(1 / 255)), scaling=Scaling.UNIT)

    assert inspection.preprocessing.scaling is Scaling.UNIT
    assert inspection.notes == (
        "its first steps are those of a network for grey levels 0..255; --scaling unit was kept",
    )


def test_a_given_scaling_is_taken_without_a_word() -> None:
    assert inspect(end_with(sigmoid()), scaling=Scaling.CAFFE).notes == ()


@pytest.mark.slow  # builds thirteen large networks
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("EfficientNetB0", Scaling.NONE), ("EfficientNetV2B0", Scaling.NONE), ("MobileNetV3Small", Scaling.NONE),
        ("ConvNeXtTiny", Scaling.NONE), ("VGG16", None), ("ResNet50", None), ("ResNet50V2", None),
        ("MobileNetV2", None), ("DenseNet121", None), ("Xception", None), ("InceptionV3", None),
        ("NASNetMobile", None), ("MobileNet", None),
    ],
)  # fmt: skip
def test_the_application_networks_of_keras_are_read_or_asked_for(name: str, expected: Scaling | None) -> None:
    base = getattr(keras.applications, name)(include_top=False, weights=None, input_shape=(96, 96, 3), pooling="avg")
    model = keras.Sequential([keras.Input((96, 96, 3)), base, sigmoid()])

    assert choose_scaling(read_input_line(model, (96, 96, 3))) is expected


@pytest.mark.parametrize(
    ("last", "request_", "expected"),
    [
        ([layers.Dense(1, activation="sigmoid")], COVID, OutputMeaning.SIGMOID_COVID),
        ([layers.Dense(1), layers.Activation("sigmoid")], NORMAL, OutputMeaning.SIGMOID_NORMAL),
        ([layers.Dense(2, activation="softmax")], COVID, OutputMeaning.SOFTMAX_NORMAL_FIRST),
        ([layers.Dense(2), layers.Softmax()], NORMAL, OutputMeaning.SOFTMAX_COVID_FIRST),
        ([layers.Dense(1, activation="sigmoid"), layers.Reshape((1,))], COVID, OutputMeaning.SIGMOID_COVID),
        ([layers.Dense(1, activation="sigmoid"), layers.Dropout(0.1)], COVID, OutputMeaning.SIGMOID_COVID),
    ],
)
def test_the_output_is_read_from_the_model(
    last: list[keras.layers.Layer], request_: OutputRequest, expected: OutputMeaning
) -> None:
    assert inspect(end_with(*last), request_).output is expected


@pytest.mark.parametrize(
    ("last", "way_out"),
    [
        ([layers.Dense(1)], "if these are logits, say --logits"),
        ([layers.Dense(1, activation="softmax")], "train it again with Dense"),
        ([layers.Dense(2, activation="sigmoid")], "--output-names covid,normal"),
        ([layers.Dense(3, activation="softmax")], "--output-names covid,normal,class3"),
    ],
)
def test_an_output_that_is_no_probability_of_two_classes_is_refused_with_the_way_out(
    last: list[keras.layers.Layer], way_out: str
) -> None:
    with pytest.raises(
        IncompatibleModel, match=r"expected one sigmoid output \(n, 1\) or two softmax outputs"
    ) as refusal:
        inspect(end_with(*last))

    assert way_out in str(refusal.value)


GREYS = np.random.default_rng(1).integers(0, 256, (5, 30, 30), dtype=np.uint8)


def numbers() -> Any:
    return scale_pixels(GREYS, Preprocessing(30, 30, 3, Scaling.UNIT))


@pytest.mark.parametrize("activation", ["softmax", "sigmoid"])
def test_of_three_outputs_the_named_one_is_the_probability_of_covid(activation: str) -> None:
    model = end_with(layers.Dense(3, activation=activation))

    inspection = inspect(model, OutputRequest("covid", THREE))

    assert inspection.output is OutputMeaning.SIGMOID_COVID
    np.testing.assert_allclose(inspection.network(numbers()), np.asarray(model(numbers()))[:, 1:2], atol=1e-6)


def test_logits_go_through_a_sigmoid_and_several_through_a_softmax() -> None:
    one, two, three = (end_with(layers.Dense(units)) for units in (1, 2, 3))
    raw = np.asarray(three(numbers()), dtype=np.float64)

    single = inspect(one, OutputRequest("normal", are_logits=True))
    pair = inspect(two, OutputRequest("covid", are_logits=True))
    several = inspect(three, OutputRequest("covid", THREE, are_logits=True))

    assert (single.output, pair.output) == (OutputMeaning.SIGMOID_NORMAL, OutputMeaning.SOFTMAX_NORMAL_FIRST)
    np.testing.assert_allclose(single.network(numbers()), 1 / (1 + np.exp(-np.asarray(one(numbers())))), atol=1e-6)
    np.testing.assert_allclose(np.asarray(pair.network(numbers())).sum(axis=1), 1, atol=1e-6)
    expected = np.exp(raw) / np.exp(raw).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(several.network(numbers()), expected[:, 1:2], atol=1e-6)


def test_of_several_heads_the_named_one_is_taken() -> None:
    given = keras.Input((30, 30, 3))
    body = layers.GlobalAveragePooling2D()(layers.Conv2D(2, 3)(given))
    heads = [layers.Dense(1, activation="sigmoid", name=name)(body) for name in ("edema", "viral")]
    model = keras.Model(given, heads)

    with pytest.raises(IncompatibleModel, match=r"2 outputs \(edema, viral\); say which is P\(covid\)"):
        inspect(model)
    inspection = inspect(model, OutputRequest("viral"))

    np.testing.assert_allclose(inspection.network(numbers()), model(numbers())[1], atol=1e-6)


@pytest.mark.parametrize(
    ("last", "request_", "message"),
    [
        (layers.Dense(1, activation="sigmoid"), OutputRequest("pneumonia"), "received --positive-output 'pneumonia'"),
        (layers.Dense(1, activation="sigmoid"), OutputRequest("covid", are_logits=True), "leave out --logits"),
        (layers.Dense(3, activation="softmax"), OutputRequest("flu", THREE), "not one of its outputs: normal, covid"),
        (layers.Dense(3, activation="softmax"), OutputRequest("normal", THREE), "what is not normal need not be covid"),
    ],
)
def test_an_answer_that_does_not_fit_the_output_is_refused(
    last: keras.layers.Layer, request_: OutputRequest, message: str
) -> None:
    with pytest.raises(IncompatibleModel, match=message):
        inspect(end_with(last), request_)


def test_size_and_channels_are_read_from_the_model() -> None:
    inspection = inspect(end_with(sigmoid(), shape=(48, 64, 1)))

    assert inspection.preprocessing == Preprocessing(height=48, width=64, channels=1, scaling=Scaling.UNIT)


def test_a_model_that_scales_by_itself_gets_grey_levels_as_they_are() -> None:
    inner = keras.Sequential([keras.Input((30, 30, 3)), layers.Rescaling(1 / 255), layers.Conv2D(2, 3)])
    model = keras.Sequential([keras.Input((30, 30, 3)), inner, layers.GlobalMaxPooling2D(), sigmoid()])

    assert inspect(model, scaling=None).preprocessing.scaling is Scaling.NONE


def test_an_input_size_is_asked_for_only_where_the_model_has_none() -> None:
    open_size = end_with(sigmoid(), shape=(None, None, 3))

    with pytest.raises(IncompatibleModel, match="give the input size that it was trained with"):
        inspect(open_size)
    given = inspect(open_size, input_size=(40, 50)).preprocessing
    assert (given.height, given.width) == (40, 50)
    with pytest.raises(IncompatibleModel, match="its input height is 30; received 40"):
        inspect(end_with(sigmoid()), input_size=(40, 50))


@pytest.mark.parametrize("shape", [(30, 30, 4), (30, 30), (10,)])
def test_an_input_that_is_no_picture_is_refused(shape: tuple[int, ...]) -> None:
    model = keras.Sequential([keras.Input(shape), layers.Flatten(), sigmoid()])

    with pytest.raises(IncompatibleModel, match=r"expected one of \(n, height, width, 1 or 3\)"):
        inspect(model)


def test_a_scaling_of_three_channels_is_refused_for_one() -> None:
    with pytest.raises(IncompatibleModel, match="scaling caffe needs 3 channels"):
        inspect(end_with(sigmoid(), shape=(30, 30, 1)), scaling=Scaling.CAFFE)


def test_the_words_for_the_label_are_those_of_the_ledger() -> None:
    assert {Label.COVID.value, Label.NORMAL.value} == {COVID.positive_output, NORMAL.positive_output}
