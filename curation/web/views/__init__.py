"""One module for each kind of page of `curation browse`; each function answers one address."""
