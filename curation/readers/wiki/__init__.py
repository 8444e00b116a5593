"""MediaWiki markup: what templates show, names of namespaces, marks of text."""
