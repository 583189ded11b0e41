"""The example of several machines: one training on two devices, as on one."""

import os
import subprocess
import sys

import pytest

PROGRAM = """
import sys
import keras, numpy as np, tensorflow as tf
sys.path.insert(0, sys.argv[1])
import cvae_music as cm
import train
from cvae_music.config import AudioConfig
from cvae_music.data.features import build_features
from cvae_music.data.sources import known_factor_collection

(device,) = tf.config.list_physical_devices("CPU")
tf.config.set_logical_device_configuration(
    device, [tf.config.LogicalDeviceConfiguration()] * 2
)
keras.mixed_precision.set_global_policy(sys.argv[3])
# Grappler would take longer than the training.
tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})
config = AudioConfig(sample_rate=8000, n_fft=256, hop_length=64, n_mels=16, fmax=3500,
                     num_frames=32, frames_per_beat=8)
features = build_features(
    known_factor_collection(60), config, sys.argv[2], num_workers=1, progress=False
)
strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
train.check_gradients_of_all_replicas()
sizes = {"global_dim": 3, "local_dim": 2, "width": 40, "depth": 0}
model, history = train.train(
    lambda: cm.ConditionalVAE(config, genres=features.genres, **sizes),
    features, strategy, 4, num_steps=36, jit_compile=False, verbose=0,
)
assert np.isfinite(history.history["loss"]).all(), history.history
assert history.history["rms_db"][-1] < history.history["rms_db"][0], history.history
assert int(model.optimizer.iterations.numpy()) > 0
assert all(np.isfinite(weight).all() for weight in model.get_weights())
assert any(np.any(weight) for weight in model.get_weights())
clips = model.decode(model.sample_latents([0, 1]), [0, 1])
assert np.isfinite(clips).all() and np.shape(clips) == (2, *config.shape)
"""


@pytest.mark.parametrize("policy", ["float32", "mixed_float16"])
def test_two_devices_train_one_model(policy, root, tmp_path):
    """Half precision once failed here: its loss scaling met the sum over replicas."""
    command = [sys.executable, "-c", PROGRAM, root / "examples" / "multi_worker"]
    found = subprocess.run(
        [*command, tmp_path, policy],
        env=os.environ | {"PYTHONPATH": str(root / "lib")},
        capture_output=True,
        text=True,
    )
    assert found.returncode == 0, found.stderr[-3000:]
