"""The learned extractor of main content: an HTML page to blocks of text, each with its probability
of being main text.

Imports nothing else of `curation`, so that it could be a package of its own."""
