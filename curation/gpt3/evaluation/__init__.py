"""The parts of `curation.gpt3.evaluate`: formats of appendix G, metrics, curves over K, overlap
with the training text, and the paper's synthetic tasks."""
