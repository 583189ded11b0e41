import sys
from glob import glob
from importlib.util import find_spec as find

sys.path = ["lib", "../lib", "../../lib", *sys.path, *glob("*/lib"), *glob("/kaggle/input/**/lib", recursive=True)]
find("cvae_lab") or repository_zip and get_ipython().run_line_magic("pip", f"install -q --no-deps {repository_zip}")
_ = find("cvae_lab") or sys.exit("No library: Colab, set repository_zip; Kaggle, Add Input; VS Code, laptop: make lab")
