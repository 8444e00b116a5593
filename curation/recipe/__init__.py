"""A recipe: its tables, how it is read from TOML, and the stages in their order."""
