"""The demo corpus, and the archives and files that it is written as."""
