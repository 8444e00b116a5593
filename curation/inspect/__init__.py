"""Reading a finished or half-finished run; nothing here changes one, but for the report that it writes beside it."""
