"""Genre-conditioned music from variational autoencoders.

Names are loaded when first used: `import cvae_music` loads neither TensorFlow nor
librosa. `__init__.pyi` lists what is public.
"""

import lazy_loader

__version__ = "0.2.0"

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
