"""The functions that `import curation` names: each runs a stage's own code on a user's data.

`data` says what may be given, `results` what comes back. `memory` runs one stage on rows that are
in memory; `files` runs the command's recipe on files, or into a directory that stays. The public
names are in `curation/__init__.py`.
"""
