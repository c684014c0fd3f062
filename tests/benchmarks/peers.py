"""The same jobs as a user would write them without the service, after the tutorials of each library.

`python -m tests.benchmarks.peers FOLDER MODEL` scores a folder the second way, in a process of its own.
"""

from __future__ import annotations

import os
import sys
import time
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

SIZE = (150, 150)


def score_one_by_one(folder: str, model: str) -> float:
    """The tutorial's way: `load_img` and `predict` for each image. Seconds."""
    keras, network = _load(model)
    started = time.perf_counter()
    for name in sorted(os.listdir(folder)):
        image = keras.utils.load_img(os.path.join(folder, name), target_size=SIZE)
        network.predict(keras.utils.img_to_array(image)[None] / 255, verbose=0)
    return time.perf_counter() - started


def score_with_tf_data(folder: str, model: str) -> float:
    """`tf.data` decodes in parallel, `predict` takes batches of 32. Seconds."""
    import tensorflow as tf

    _, network = _load(model)
    started = time.perf_counter()

    def read(path: Any) -> Any:
        image = tf.io.decode_image(tf.io.read_file(path), channels=3, expand_animations=False)
        return tf.image.resize(image, SIZE) / 255

    names = sorted(os.path.join(folder, name) for name in os.listdir(folder))
    images = tf.data.Dataset.from_tensor_slices(names).map(read, num_parallel_calls=tf.data.AUTOTUNE)
    network.predict(images.batch(32).prefetch(tf.data.AUTOTUNE), verbose=0)
    return time.perf_counter() - started


# The modes of Pillow that kornia-rs decodes too, by its name of them and their channels.
_GREY, _COLOUR = {"L": ("mono", 1)}, {"L": ("mono", 1), "RGB": ("rgb", 3), "RGBA": ("rgba", 4)}


def measure_processor_rate(
    folder: str, onnx: str, *, draft: bool, rust: bool = False, colour_in_rust: bool = False
) -> float:
    """Images for each processor second of one thread that decodes, resizes and infers, and does nothing else.

    Times the cores it is the limit of any program that decodes with Pillow. With `draft` JPEGs are decoded at
    the smallest scale that is still twice the network's size, with `rust` grey PNGs by kornia-rs, with
    `colour_in_rust` those of 8 bits in colour as well, as the service does all three; `onnx` may be its own twin, which
    takes grey once. What is then left between the two is checks, hashes, processes and the ledger.
    """
    import numpy as np
    import onnxruntime
    from kornia_rs.io import decode_image_png_u8
    from PIL import Image

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(onnx, options, providers=["CPUExecutionProvider"])
    (given,) = session.get_inputs()
    in_rust = _COLOUR if colour_in_rust else _GREY if rust else {}
    names = sorted(os.path.join(folder, name) for name in os.listdir(folder))
    started = time.process_time()
    for start in range(0, len(names), 32):
        batch = []
        for name in names[start : start + 32]:
            with Image.open(name) as opened:
                image: Image.Image = opened
                if draft:
                    image.draft(None, (2 * SIZE[0], 2 * SIZE[1]))
                if name.endswith(".png") and image.mode in in_rust and not _is_deep(image):
                    mode, channels = in_rust[image.mode]
                    pixels = decode_image_png_u8(Path(name).read_bytes(), (image.height, image.width), mode)
                    image = Image.fromarray(pixels[..., 0] if channels == 1 else pixels)
                grey = image.convert("L").resize(SIZE, Image.Resampling.BILINEAR, reducing_gap=2.0)
            batch.append(np.asarray(grey))
        numbers = np.repeat(np.stack(batch)[..., None], given.shape[-1], axis=-1).astype(np.float32) / np.float32(255)
        session.run(None, {given.name: numbers})
    return len(names) / (time.process_time() - started)


def _is_deep(image: Any) -> bool:
    """Whether Pillow reads 16 bits a channel as 8, and the Rust decoder would not."""
    return any(";16" in str(tile.args) for tile in image.tile)


def list_and_stat(folder: str) -> float:
    """`os.scandir` and a `stat` of every entry, nothing else. Seconds."""
    started = time.perf_counter()
    with os.scandir(folder) as entries:
        for entry in entries:
            entry.stat(follow_symlinks=False)
    return time.perf_counter() - started


def warm_up_training() -> None:
    """Import what the training needs."""
    for name in ("keras", "scipy.ndimage", "sklearn.metrics"):
        import_module(name)


def train_from_files(folder: str, epochs: int, seed: int) -> tuple[float, float]:
    """The tutorial's training: augmented on the fly from `folder`/train, validated on `folder`/test each epoch.

    Seconds of `fit`, and the AUC on the held-out X-rays.
    """
    import keras
    from keras.src.legacy.preprocessing.image import ImageDataGenerator
    from sklearn.metrics import roc_auc_score

    keras.utils.set_random_seed(seed)
    layers = keras.layers
    network = keras.Sequential([keras.Input((*SIZE, 3))])
    for filters in (32, 32, 64):
        network.add(layers.Conv2D(filters, (3, 3)))
        network.add(layers.Activation("relu"))
        network.add(layers.MaxPooling2D(pool_size=(2, 2)))
    network.add(layers.Flatten())
    network.add(layers.Dense(64))
    network.add(layers.Activation("relu"))
    network.add(layers.Dropout(0.5))
    network.add(layers.Dense(1))
    network.add(layers.Activation("sigmoid"))
    network.compile(loss="binary_crossentropy", optimizer="rmsprop", metrics=["accuracy"])
    augmented = ImageDataGenerator(rescale=1 / 255, shear_range=0.2, zoom_range=0.2, horizontal_flip=True)
    options = {"target_size": SIZE, "batch_size": 8, "class_mode": "binary"}
    train = augmented.flow_from_directory(f"{folder}/train", **options)
    test = ImageDataGenerator(rescale=1 / 255).flow_from_directory(f"{folder}/test", shuffle=False, **options)
    started = time.perf_counter()
    network.fit(train, epochs=epochs, validation_data=test, verbose=0)
    seconds = time.perf_counter() - started
    normal = network.predict(test, verbose=0)[:, 0]
    return seconds, float(roc_auc_score(test.classes, normal))


@cache
def _load(model: str) -> tuple[Any, Any]:
    import keras

    return keras, keras.saving.load_model(model)


if __name__ == "__main__":
    assert Path(sys.argv[1]).is_dir()
    score_with_tf_data(sys.argv[1], sys.argv[2])
