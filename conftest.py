"""Modules whose doctests need a package that not every environment has."""

import importlib.util

collect_ignore = [] if importlib.util.find_spec("lm_eval") else ["curation/gpt3/harness.py"]
