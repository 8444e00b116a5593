"""The codes of the languages that fastText's lid.176 tells apart, and the names people give them.

They stand here, and not beside the model, so that a recipe is checked without loading it.
"""

from __future__ import annotations

from collections.abc import Sequence

from curation.shown import brief

_CODES = """
af als am an ar arz as ast av az azb ba bar bcl be bg bh bn bo bpy br bs bxr ca cbk ce ceb ckb co cs
cv cy da de diq dsb dty dv el eml en eo es et eu fa fi fr frr fy ga gd gl gn gom gu gv he hi hif hr
hsb ht hu hy ia id ie ilo io is it ja jbo jv ka kk km kn ko krc ku kv kw ky la lb lez li lmo lo lrc
lt lv mai mg mhr min mk ml mn mr mrj ms mt mwl my myv mzn nah nap nds ne new nl nn no oc or os pa
pam pfl pl pms pnb ps pt qu rm ro ru rue sa sah sc scn sco sd sh si sk sl so sq sr su sv sw ta te tg
th tk tl tr tt tyv ug uk und ur uz vec vep vi vls vo wa war wuu xal xmf yi yo yue zh
"""
_NAMES = """
afrikaans:af albanian:sq amharic:am arabic:ar armenian:hy azerbaijani:az basque:eu belarusian:be
bengali:bn bosnian:bs bulgarian:bg burmese:my cantonese:yue catalan:ca chinese:zh mandarin:zh
croatian:hr czech:cs danish:da dutch:nl english:en esperanto:eo estonian:et finnish:fi french:fr
galician:gl georgian:ka german:de greek:el gujarati:gu hebrew:he hindi:hi hungarian:hu icelandic:is
indonesian:id irish:ga italian:it japanese:ja kannada:kn kazakh:kk khmer:km korean:ko kurdish:ku
latin:la latvian:lv lithuanian:lt macedonian:mk malay:ms malayalam:ml maltese:mt marathi:mr
mongolian:mn nepali:ne norwegian:no persian:fa farsi:fa polish:pl portuguese:pt punjabi:pa
romanian:ro russian:ru serbian:sr sinhala:si slovak:sk slovenian:sl somali:so spanish:es swahili:sw
swedish:sv tagalog:tl tamil:ta tatar:tt telugu:te thai:th tibetan:bo turkish:tr ukrainian:uk urdu:ur
uyghur:ug uzbek:uz vietnamese:vi welsh:cy yiddish:yi yoruba:yo deutsch:de francais:fr français:fr
español:es espanol:es italiano:it eng:en deu:de ger:de fra:fr fre:fr spa:es ita:it por:pt rus:ru
zho:zh chi:zh jpn:ja kor:ko nld:nl dut:nl pol:pl ukr:uk ara:ar hin:hi swe:sv iw:he nb:no cn:zh jp:ja
"""
CODES = frozenset(_CODES.split())
NAMES = dict(pair.split(":") for pair in _NAMES.split())


def check_languages(codes: Sequence[str]) -> None:
    """Raise ValueError, saying what is meant, where a code is none of the model's.

    >>> check_languages(["en", "German"])
    Traceback (most recent call last):
    ...
    ValueError: languages: a code such as 'en' expected, got 'German'; did you mean 'de'?
    """
    for code in codes:
        if code in CODES:
            continue
        word = code.strip().lower()
        short = word.replace("_", "-").partition("-")[0]
        meant = NAMES.get(word) or next((c for c in (word, short) if c in CODES), "")
        if not meant:
            meant = NAMES.get(short, "")
        hint = f"; did you mean {meant!r}?" if meant else " (ISO 639-1, or -3 where it has none)"
        raise ValueError(f"languages: a code such as 'en' expected, got {brief(code)}{hint}")
