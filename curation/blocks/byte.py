"""Bytes by name, for kernels, where a character is a number: `data[i] == byte.LESS_THAN`."""

from __future__ import annotations

TAB, LINE_FEED, VERTICAL_TAB, CARRIAGE_RETURN, SPACE = b"\t\n\v\r "
EXCLAMATION, QUOTE, HASH, AMPERSAND, APOSTROPHE = b"!\"#&'"
OPENING_BRACKET, CLOSING_BRACKET = b"()"
COMMA, HYPHEN, FULL_STOP, SLASH, BAR = ord(","), ord("-"), ord("."), ord("/"), ord("|")
ZERO, NINE, COLON, SEMICOLON = b"09:;"
PLUS, CARET, LOW_LINE, DOLLAR = b"+^_$"
LESS_THAN, EQUALS, GREATER_THAN, QUESTION = ord("<"), ord("="), ord(">"), ord("?")
CAPITAL_A, CAPITAL_Z, SMALL_A, SMALL_Z = ord("A"), ord("Z"), ord("a"), ord("z")
TO_SMALL = SMALL_A - CAPITAL_A
ASCII_END = 128  # bytes from here on are parts of longer characters

# Characters beyond ASCII, as the bytes of their UTF-8.
NO_BREAK_SPACE = (0xC2, 0xA0)
SOFT_HYPHEN = (0xC2, 0xAD)
MINUS = (0xE2, 0x88, 0x92)
FRACTION_SLASH = (0xE2, 0x81, 0x84)
LATIN_1_SIGN = 0xC2  # the first byte of signs such as » or ·
ARABIC_COMMA = (0xD8, 0x8C)
GENERAL_PUNCTUATION = (0xE2, 0x80)  # the first two bytes of U+2000 to U+203F
ZERO_WIDTH = (0x8B, 0x8E, 0x8F)  # ... and the third of marks of zero width
WORD_JOINER = (0xE2, 0x81, 0xA0)
INVISIBLE_PLUS_END = 0xA4  # the third of the last of four invisible operators after that
CURLY_QUOTE_END = 0x9D  # ... and the third of a closing curly quotation mark
ELLIPSIS_END = 0xA6  # ... and the third of an ellipsis
CJK_PUNCTUATION = (0xE3, 0x80)  # the first two bytes of U+3000 to U+303F
CJK_COMMA_END, CJK_STOP_END = 0x81, 0x82  # ... and the third of a comma and a full stop
WIDE_COMMA = (0xEF, 0xBC, 0x8C)
