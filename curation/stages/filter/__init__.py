"""The stage `filter`: signals of each document, and rules that decide on them."""
