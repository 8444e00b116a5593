"""The GPT-3 trainer: reads token shards, writes checkpoints; the only folder that imports torch.

Nothing else of the package imports this folder (the command line does, when `curation train` runs);
it meets the pipeline only through files.
"""
