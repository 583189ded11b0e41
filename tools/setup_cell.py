import sys

sys.path[:0] = ["lib", "../lib", "../../lib"]  # in a clone; elsewhere the project's zip or folder is installed first
if repository_zip:
    get_ipython().run_line_magic("pip", f"install --quiet --no-deps {repository_zip}")
import cvae_lab as lab
import cvae_music as cm
