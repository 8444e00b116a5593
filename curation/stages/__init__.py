"""The stages of the line, a folder each."""
