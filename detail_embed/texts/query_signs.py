"""The signs of a line of prompts: as they are typed, and what editors make of them."""

import re

DASHES = "-\u2010\u2011\u2012\u2013\u2014\u2015\u2212\ufe58\ufe63\uff0d"
COMMAS = ",;\u060c\u061b\u3001\ufe10\ufe11\ufe14\ufe50\ufe51\ufe54\uff0c\uff1b\uff64"
CURLY = "\u00ab\u00bb\u201c\u201d\u201e\u201f\u300c\u300d\u300e\u300f\uff02"
HASHES = "#\ufe5f\uff03"
MINUS = re.compile(rf"\s*([{DASHES}]?)\s*")
WEIGHT = re.compile(rf"([^*{COMMAS}]*)\*\s*")
HASH = re.compile(rf"([{HASHES}]?)\s*")
QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"\s*', re.DOTALL)
CURLY_QUOTED = re.compile(rf"[{CURLY}]([^{CURLY}]*)[{CURLY}]\s*")
PLAIN = re.compile(rf"[^{COMMAS}]*")
NEEDS_QUOTES = re.compile(
    rf'[{DASHES}{CURLY}{HASHES}]|.*([{COMMAS}*"]|\s[{DASHES}][^\W\d])'
)
DECIMAL_COMMA = re.compile(r"\s*\d+,\d+\s*\*")
LATER_MINUS = re.compile(rf"\s+[{DASHES}](?=[^\W\d])")
