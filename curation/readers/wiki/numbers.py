"""Templates that write numbers, dates, places and the like: what a row of the table cannot say.

Each function takes a `Call` and returns markup. Where a value is not in the arguments but computed
by the wiki (a price of today, an age of today), it returns `UNKNOWN`, never half of the value.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

from curation.readers.wiki.marks import UNKNOWN
from curation.readers.wiki.names import MONTHS, NUMBER_MARKS, Wiki

_DIGITS = re.compile(r"([+−-]?)([0-9]{1,100})(\.[0-9]+)?")
_HAS_DIGIT = re.compile(r"\d")
_RANGE = {
    "-": "–", "–": "–", "to": " to ", "to(-)": " to ", "to-": " to ", "and": " and ", "or": " or ",
    "and(-)": " and ", "x": " × ", "×": " × ", "by": " by ", "*": " × ", "xx": " × ", "+/-": " ± ",
    "±": " ± ", "+": " + ", ",": ", ", "/": "/", "to about": " to about ", "bis": " bis ",
    "und": " und ", "à": " à ", "et": " et ", "a": " a ", "y": " y ", "e": " e ", "до": " до ",
}  # fmt: skip
_UNITS = {
    "sqmi": "sq mi", "sqft": "sq ft", "sqyd": "sq yd", "sqin": "sq in", "cuft": "cu ft",
    "cuyd": "cu yd", "cuin": "cu in", "cumi": "cu mi", "c": "°C", "f": "°F", "°c": "°C", "°f": "°F",
    "k": "K", "c-change": "°C", "f-change": "°F", "impgal": "imp gal", "usgal": "US gal",
    "u.s.gal": "US gal", "usoz": "US fl oz", "impoz": "imp fl oz", "acre": "acres", "kn": "knots",
    "km2": "km²", "m2": "m²", "cm2": "cm²", "mm2": "mm²", "km3": "km³", "m3": "m³", "cm3": "cm³",
    "m3/s": "m³/s", "ft3/s": "cu ft/s", "cuft/s": "cu ft/s", "m/s2": "m/s²", "kph": "km/h",
    "lt": "long tons", "st": "short tons", "ton": "tons", "oilbbl": "bbl", "oilbbl/d": "bbl/d",
    "koilbbl/d": "thousand bbl/d", "moilbbl/d": "million bbl/d", "e3oilbbl/d": "thousand bbl/d",
    "foot": "ft", "feet": "ft", "mile": "mi", "miles": "mi", "inch": "in", "lbs": "lb",
    "hacre": "ha", "km/hr": "km/h", "/sqmi": "/sq mi", "pd/sqmi": "per sq mi", "pd/km2": "per km²",
    "/km2": "/km²", "psqmi": "per sq mi", "pkm2": "per km²", "lbf.ft": "lbf⋅ft", "n.m": "N⋅m",
    "smoot": "smoots", "nmi": "nautical miles", "day": "days", "year": "years", "l": "L",
}  # fmt: skip
_PARTS_OF_UNITS = ("ft", "mi", "yd", "lb", "st", "foot", "h")  # 6 ft 2 in, 3 lb 4 oz
_LARGE_ONLY = ("es", "pl", "pt", "it")  # no mark in numbers of four digits
_NOTES = {"flat": "♭", "b": "♭", "sharp": "♯", "#": "♯", "natural": "♮"}


class Call(NamedTuple):
    """A template: its name as written, its arguments, the characters before it, the wiki."""

    name: str
    args: dict[str, str]
    before: str
    wiki: Wiki

    def unnamed(self) -> list[str]:
        """The unnamed arguments in order."""
        values: list[str] = []
        while (value := self.args.get(str(len(values) + 1))) is not None:
            values.append(value)
        return values


def with_marks(number: str, wiki: Wiki) -> str:
    """A number in the wiki's way of writing; what is no plain number stays as it is.

    >>> with_marks("1234567.5", Wiki("en")), with_marks("2000", Wiki("de")), with_marks("2,5", Wiki())
    ('1,234,567.5', '2.000', '2,5')
    """
    match = _DIGITS.fullmatch(number)
    if match is None:
        return number
    sign, whole, rest = match[1], match[2], match[3] or ""
    marks = NUMBER_MARKS.get(wiki.language, ",.")
    if not (len(whole) <= 4 and wiki.language in _LARGE_ONLY) and whole[0] != "0":
        whole = f"{int(whole):,}".replace(",", marks[0])
    return sign + whole + (marks[1] + rest[1:] if rest else "")


def _converted(call: Call) -> str:
    """{{convert|5|km|mi}}: the number and unit that were given, ranges and feet with inches too."""
    values = call.unnamed()
    if not values or not _HAS_DIGIT.search(values[0]):
        return UNKNOWN
    out = [with_marks(values[0].replace("+", " "), call.wiki)]
    at = 1
    while at + 1 < len(values) and values[at].lower() in _RANGE and len(values[at]) < 9:
        if not _HAS_DIGIT.search(values[at + 1]):
            break
        out += [_RANGE[values[at].lower()], with_marks(values[at + 1], call.wiki)]
        at += 2
    if at < len(values) and values[at]:
        out.append(_unit(values[at]))
        if values[at].lower() in _PARTS_OF_UNITS and at + 2 < len(values):
            part, unit = values[at + 1], values[at + 2]
            if _HAS_DIGIT.match(part) and not _HAS_DIGIT.search(unit):
                out.append(f" {part}{_unit(unit)}")
    return "".join(out)


def _unit(code: str) -> str:
    return " " + _UNITS.get(code.lower(), code)


def _measured(call: Call) -> str:
    """{{val|1.2|0.1|e=6|u=kg}}: number, uncertainty, power of ten, unit."""
    values, args = call.unnamed(), call.args
    if not values or not values[0]:
        return f"×10<sup>{args['e']}</sup>" if args.get("e") else ""
    out = [args.get("p", ""), with_marks(values[0], call.wiki)]
    if len(values) > 2 and values[1].lower() in _RANGE:
        out += [_RANGE[values[1].lower()], values[2]]
    elif len(values) > 2 and values[1]:
        out += ["+", values[1].lstrip("+"), "−", values[2].lstrip("-−")]
    elif len(values) > 1 and values[1]:
        out.append(values[1] if values[1].startswith("(") else "±" + values[1])
    if args.get("e"):
        out.append(f"×10<sup>{args['e']}</sup>")
    unit = args.get("u") or args.get("ul")
    per = args.get("up") or args.get("upl")
    if unit or per:
        out += ["" if unit in ("%", "°") else " ", unit or "", "/" + per if per else ""]
    return "".join([*out, args.get("s", "")])


def _quantity(call: Call) -> str:
    """{{unité|2000|m|3}}: a number, then units, each with its power if one is given."""
    values = call.unnamed()
    if not values or not _HAS_DIGIT.search(values[0]):
        return UNKNOWN if not values or not values[0] else values[0]
    out = [with_marks(values[0], call.wiki)]
    joined = [word for word in ("à", "et", "ou", "-", "±") if call.args.get(word)]
    out += [f" {word} {with_marks(call.args[word], call.wiki)}" for word in joined]
    if call.args.get("e"):
        out.append(f"×10<sup>{call.args['e']}</sup>")
    for place, value in enumerate(values[1:]):
        is_power = place and re.fullmatch(r"[−-]?\d", value)
        out.append(value if is_power or value.startswith("/") or not value else " " + value)
    return "".join(out)


def _number(call: Call) -> str:
    number = call.args.get("1", "")
    return with_marks(number, call.wiki) if _HAS_DIGIT.search(number) else UNKNOWN


def _fraction(call: Call) -> str:
    """{{frac|1|2}} is 1/2, {{frac|3|1|2}} 3 1/2, {{frac|2}} 1/2."""
    values = [value for value in call.unnamed() if value]
    if not values:
        return ""
    gap = " " if call.before[-1:].isdigit() else ""
    if len(values) == 1:
        return f"{gap}1/{values[0]}"
    return gap + (f"{values[0]} " if len(values) > 2 else "") + "/".join(values[-2:])


def _small(text: str) -> int | None:
    """A number of up to four digits."""
    return int(text) if text.isdecimal() and len(text) <= 4 else None


def _date(year: str, month: str, day: str, call: Call) -> str:
    """A date as the wiki writes it; parts that are empty are left out."""
    language = call.wiki.language if call.wiki.language in MONTHS else "en"
    pattern, months = MONTHS[language]
    number = _small(month)
    if number is not None and 1 <= number <= 12:
        month = months.split()[number - 1]
    day = day.lstrip("0")
    if language == "en" and not call.args.get("df", "").lower().startswith("y"):
        pattern = "{m} {d}, {y}"
    if not day or not year:
        parts = [day, month, year] if day else [month, year]
        if "年" in pattern:
            return f"{year}年" * bool(year) + month + f"{day}日" * bool(day)
        return " ".join(part for part in parts if part)
    return pattern.format(y=year, m=month, d=day)


def _date_ymd(call: Call) -> str:
    values = [*call.unnamed(), "", "", ""]
    if not values[0].isdigit():
        return values[0]
    year, month, day = values[:3]
    return _date(year, month, day if day.isdigit() else "", call)


def _date_dmy(call: Call) -> str:
    values = [*call.unnamed(), "", "", ""]
    if len(values) == 4 or (len(values[0]) > 2 and not values[0].isdigit()):
        return values[0]
    if len(values[0]) > 2:
        return _date_ymd(call)
    day, month, year = values[:3]
    if not month.isdigit() and call.wiki.language not in ("es", "pt", "de"):
        return " ".join(value for value in (day, month, year) if value)
    return _date(year, month, day, call)


def _death(call: Call) -> str:
    """The date, and in English the age that follows from both dates."""
    date = _date_ymd(call)
    numbers = [number for value in call.unnamed()[:6] if (number := _small(value)) is not None]
    if len(numbers) != 6 or call.wiki.language != "en":
        return date
    age = numbers[0] - numbers[3] - (numbers[1:3] < numbers[4:6])
    return f"{date} (aged {age})"


def _as_of(call: Call) -> str:
    if call.args.get("alt"):
        return call.args["alt"]
    values = [*call.unnamed(), "", ""]
    if not values[0]:
        return UNKNOWN
    word = "Since" if call.args.get("since") else "As of"
    word = word.lower() if call.args.get("lc") else word
    post = call.args.get("post", "")
    return f"{word} {_date_ymd(call)}{post}"


def _place(call: Call) -> str:
    """{{coord|40|26|N|79|58|W}}: shown unless it is for the title of the page alone."""
    display = call.args.get("display", "inline").lower()
    if display == "t" or ("title" in display and "inline" not in display):
        return ""
    out: list[str] = []
    parts: list[str] = []
    for value in call.unnamed():
        if value.upper() in ("N", "S", "E", "W", "O"):
            marks = ("°", "′", "″")
            out.append("".join(map("".join, zip(parts, marks, strict=False))) + value.upper())
            parts = []
        elif re.fullmatch(r"[−-]?[\d.]+", value) and len(parts) < 3:
            parts.append(value)
        else:
            break
    if not out and len(parts) == 2:
        out = [f"{part}°" for part in parts]
    return " ".join(out)


def _ordinal(call: Call) -> str:
    return call.args.get("1") or call.name


def _titled(call: Call) -> str:
    """The template's own name and its first argument: {{HMS|Ajax}}, {{1er|janvier}}."""
    return f"{call.name} {call.args['1']}" if call.args.get("1") else call.name


def _linked(call: Call) -> str:
    """{{ill|Name|de|Name}}, or in the order of earlier years {{ill|de|Name|words}}: the words."""
    values = [*call.unnamed(), "", ""]
    is_old = len(values) > 3 and re.fullmatch(r"[a-z]{2,3}(?:-[a-z]+)?", values[0])
    return call.args.get("lt") or (values[2] or values[1] if is_old else values[0])


def _note_sign(call: Call) -> str:
    return _NOTES.get(call.args.get("1", "").lower(), "")


def _pronounced(call: Call) -> str:
    """Sounds are part of a sentence, but not of the brackets behind a name."""
    before = call.before[call.before.rfind("\n") + 1 :]
    is_inside = any(before.rfind(a) > before.rfind(b) for a, b in ("()", "（）", "[]"))
    return "" if is_inside or "-en" in call.name else call.args.get("1", "")


FUNCTIONS: dict[str, Callable[[Call], str]] = {
    "converted": _converted,
    "measured": _measured,
    "quantity": _quantity,
    "number": _number,
    "fraction": _fraction,
    "date_ymd": _date_ymd,
    "date_dmy": _date_dmy,
    "death": _death,
    "as_of": _as_of,
    "place": _place,
    "ordinal": _ordinal,
    "titled": _titled,
    "linked": _linked,
    "note_sign": _note_sign,
    "pronounced": _pronounced,
    "computed": lambda call: UNKNOWN,
}
