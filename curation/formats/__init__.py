"""Writers of other people's formats, made from a finished run; they change nothing in it."""
