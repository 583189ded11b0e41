"""The models: networks, losses, schedules, and the classes that notebooks 02 to 04 write."""

# Keras finds the class of a saved model by name once its module has been imported.
from cvae_music.models import adversarial, autoencoders, conditional  # noqa: F401
