"""Pure functions of the line on Arrow buffers and arrays."""
