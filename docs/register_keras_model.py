"""Trains a tiny Keras model and registers it: `python register_keras_model.py FOLDER`."""

import subprocess
import sys
from pathlib import Path

import keras
import numpy as np

folder, species = Path(sys.argv[1]), ["Corvus corax", "Pica pica", "Turdus merula"]
pictures = np.random.default_rng(0).integers(0, 256, (30, 96, 96, 3))  # your photos, RGB, 0..255
answers = np.arange(30) % len(species)

model = keras.Sequential(
    [
        keras.layers.Input((96, 96, 3)),
        keras.layers.Rescaling(1 / 255),
        keras.layers.Conv2D(8, 5, strides=4, activation="relu"),
        keras.layers.GlobalAveragePooling2D(),
        keras.layers.Dense(len(species), activation="softmax"),
    ]
)
model.compile("adam", "sparse_categorical_crossentropy")
model.fit(pictures, answers, verbose=0)
model.export(folder / "my-birds", verbose=False)  # a SavedModel; model.save() keeps Python code

(folder / "labels.txt").write_text("\n".join(species))  # line i, from 0, names class i
command = ["registry", "add", "my-birds@1", folder / "my-birds", "--labels", folder / "labels.txt"]
command += ["--scale", "none"]  # the model is fed 0..255: its own first layer scales
subprocess.run([sys.executable, "-m", "birdcli", *command], check=True)
