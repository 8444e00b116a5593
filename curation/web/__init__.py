"""Pages that people look at in a browser: the report and its parts."""
