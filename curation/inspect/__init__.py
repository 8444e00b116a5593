"""Reading a finished or half-finished run; nothing here changes one."""
