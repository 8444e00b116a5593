"""The codes of the languages that fastText's lid.176 tells apart, the names people give them, and
their ISO 639-3 codes, which crawls and other models use.

They stand here, and not beside the model, so that a recipe is checked without loading it.
"""

from __future__ import annotations

import difflib
import re
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
_THREE = """
af:afr als:gsw am:amh an:arg ar:ara as:asm av:ava az:aze ba:bak be:bel bg:bul bh:bih bn:ben bo:bod
br:bre bs:bos ca:cat ce:che co:cos cs:ces cv:chv cy:cym da:dan de:deu dv:div el:ell en:eng eo:epo
es:spa et:est eu:eus fa:fas fi:fin fr:fra fy:fry ga:gle gd:gla gl:glg gn:grn gu:guj gv:glv he:heb
hi:hin hr:hrv ht:hat hu:hun hy:hye ia:ina id:ind ie:ile io:ido is:isl it:ita ja:jpn jv:jav ka:kat
kk:kaz km:khm kn:kan ko:kor ku:kur kv:kom kw:cor ky:kir la:lat lb:ltz li:lim lo:lao lt:lit lv:lav
mg:mlg mk:mkd ml:mal mn:mon mr:mar ms:msa mt:mlt my:mya ne:nep nl:nld nn:nno no:nor oc:oci or:ori
os:oss pa:pan pl:pol ps:pus pt:por qu:que rm:roh ro:ron ru:rus sa:san sc:srd sd:snd sh:hbs si:sin
sk:slk sl:slv so:som sq:sqi sr:srp su:sun sv:swe sw:swa ta:tam te:tel tg:tgk th:tha tk:tuk tl:tgl
tr:tur tt:tat ug:uig uk:ukr ur:urd uz:uzb vi:vie vo:vol wa:wln yi:yid yo:yor zh:zho
"""
# Codes of one language, or of languages that are easily taken for each other.
_ALIKE = """
ara arb ars ary arz acm acq aeb ajp apc | zho cmn lzh yue wuu nan hak gan | nor nob nno dan swe |
msa zsm ind min jav sun | hrv bos srp hbs cnr slv | ces slk | glg por spa ast arg mwl oci cat |
fas pes prs tgk | est ekk | lav lvs ltg | swa swh | sqi als aln | aze azj azb tur | uzb uzn |
mon khk | ori ory | nep npi hin mar bho mai bih | mlg plt | orm gaz | pus pbt | yid ydd |
kur kmr ckb | bul mkd | rus ukr bel rue | tgl fil | nld afr vls lim | eng sco | deu gsw bar ltz nds |
gle gla glv | fin krl vep | urd pnb | kin run | zul xho ssw nbl | tsn nso sot | hye hyw |
ita scn lmo pms vec | fra wln | bod dzo | ben asm
"""
CODES = frozenset(_CODES.split())
NAMES = dict(pair.split(":") for pair in _NAMES.split())
THREE = dict(pair.split(":") for pair in _THREE.split())
_GROUPS = [frozenset(group.split()) for group in _ALIKE.split("|")]
_NEAREST = 3  # labels named where one is not known


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


def three_letters(label: str) -> str | None:
    """The ISO 639-3 code of a model's label; None where none can be seen in it.

    >>> [three_letters(label) for label in ("de", "ceb", "eng_Latn", "English")]
    ['deu', 'ceb', 'eng', None]
    """
    code = re.split(r"[_-]", label)[0]
    if code in THREE:
        return THREE[code]
    return code if re.fullmatch(r"[a-z]{3}", code) else None


def alike(labels: Sequence[str]) -> frozenset[str] | None:
    """The ISO 639-3 codes of these languages, and of those that are easily taken for them; None
    where a label cannot be read so.

    >>> sorted(alike(["en", "ces_Latn"]))
    ['ces', 'eng', 'sco', 'slk']
    """
    codes = [three_letters(label) for label in labels]
    if None in codes:
        return None
    return frozenset(str(code) for code in codes).union(
        *(group for group in _GROUPS if not group.isdisjoint(codes))
    )


def check_labels(codes: Sequence[str], labels: Sequence[str], model: str) -> None:
    """Raise ValueError, naming the nearest labels, where a code is none of a model's `labels`.

    >>> check_labels(["en"], ["deu_Latn", "eng_Latn"], "lid.bin")
    Traceback (most recent call last):
    ...
    ValueError: languages: one of the 2 labels of lid.bin expected, got 'en'; nearest: 'eng_Latn'
    """
    known = {*labels, "und"}
    for code in codes:
        if code in known:
            continue
        word = code.strip().lower()
        near = alike([NAMES.get(word, word)]) or frozenset()
        exact = three_letters(NAMES.get(word, word))
        found = [label for label in labels if three_letters(label) in near]
        found.sort(key=lambda label: three_letters(label) != exact)
        found = found or difflib.get_close_matches(code[:80], labels, _NEAREST) or list(labels)
        raise ValueError(
            f"languages: one of the {len(labels):,} labels of {model} expected, got {brief(code)}; "
            f"nearest: {', '.join(map(repr, found[:_NEAREST]))}"
        )
