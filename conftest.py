"""Settings of every process of the tests, and modules whose doctests need a package that not every
environment has."""

import importlib.util
import os

# Before numpy and torch load: several processes test at once, and threads of small matrices mostly
# wait for each other, busily.
os.environ.setdefault("OMP_NUM_THREADS", "1")

collect_ignore = [] if importlib.util.find_spec("lm_eval") else ["curation/gpt3/harness.py"]
