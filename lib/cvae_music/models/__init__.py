"""The models: networks, losses, schedules, and the classes of notebooks 02 to 05."""

import keras

if keras.backend.backend() != "tensorflow":
    raise ImportError(
        f"Keras runs on the backend {keras.backend.backend()!r}; expected "
        "'tensorflow'. Unset KERAS_BACKEND and restart Python."
    )

# Keras finds the class of a saved model by name once its module has been imported.
from cvae_music.models import adversarial, autoencoders, conditional  # noqa: E402, F401
from cvae_music.saving import load_model  # noqa: E402, F401
