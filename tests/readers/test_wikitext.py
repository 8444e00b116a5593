"""Sentences stay whole: templates, formulas, apostrophes, variants, brackets."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from curation.readers.wiki.marks import as_text, signs
from curation.readers.wiki.names import FILE_NAMES, Wiki
from curation.readers.wiki.numbers import FUNCTIONS
from curation.readers.wiki.templates import ROWS
from curation.readers.wikitext import wikitext_text


def text_of(markup: str, language: str = "en") -> str:
    return wikitext_text(markup, Wiki(language))


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        ("a {{convert|12|mi|km}} road", "a 12 mi road"),
        ("{{Cvt|1200|to|1500|ft|m|abbr=on}} up", "1,200 to 1,500 ft up"),
        ("{{convert|5|ft|11|in|cm}} tall", "5 ft 11 in tall"),
        ("{{convert|2.5|-|3|sqmi}}", "2.5–3 sq mi"),
        ("{{convert|20|x|30|m|ft}}", "20 × 30 m"),
        ("at {{val|6.02|0.01|e=23|u=mol}}", "at 6.02±0.01×10^23 mol"),
        ("{{val|7|+2|-1|ul=s|upl=m}}", "7+2−1 s/m"),
        ("{{formatnum:1234567.25}} {{formatnum:98|R}}", "1,234,567.25 98"),
        ("{{frac|3|4}} 2{{frac|1|2}} {{sfrac|5|6}} {{frac|7|1|8}}", "3/4 2 1/2 5/6 7 1/8"),
        ("{{circa|1340}} and {{c.|900}}, {{reign|1509|1547}}", "c. 1340 and c. 900, r. 1509–1547"),
        ("1914{{ndash}}1918{{snd}}a{{mdash}}b{{spaced ndash}}c", "1914–1918 – a—b – c"),
        ("it{{'}}s x {{=}} y {{!}} z, ''Ulysses''{{'s}} end", "it's x = y | z, Ulysses's end"),
        ("{{birth date|1903|6|25|df=y}} to {{death date and age|1950|1|21|1903|6|25}}",
         "25 June 1903 to January 21, 1950 (aged 46)"),
        ("{{As of|2014|5}}, {{as of|2001|lc=y}}", "As of May 2014, as of 2001"),
        ("{{coord|48|51|24|N|2|21|8|E}}{{coord|1|N|2|E|display=title}}", "48°51′24″N 2°21′8″E"),
        ("a{{e|6}}, {{10^|3}}, {{gaps|1|000}}", "a×10^6, ×10^3, 1 000"),
        ("{{US$|5}} {{£|6}} {{°C|7}} {{HMS|Hood|51|6}}", "$5 £6 7 °C HMS Hood"),
    ],
)  # fmt: skip
def test_numbers_stay(markup, text):
    assert text_of(markup) == text


@pytest.mark.parametrize(
    ("language", "markup", "text"),
    [
        ("fr", "à {{unité|12500|km|2}}, {{unité|8,5|km/h}}, {{nombre|1500|habitants}}", "à 12\xa0500 km2, 8,5 km/h, 1\xa0500 habitants"),
        ("fr", "au {{s-|XIX|e}}, {{XVe siècle}}, {{1er|mai}}, {{date|8|mai|1945}}", "au XIXe siècle, XVe siècle, 1er mai, 8 mai 1945"),
        ("fr", "dit {{citation|oui}} en 52 {{av JC}}, Louis XV{{e}}", "dit « oui » en 52 av. J.-C., Louis XVe"),
        ("de", "({{enS|mill}}) {{nowrap|5 m}}, {{formatnum:12000}}", "(mill) 5 m, 12.000"),
        ("es", "el {{siglo|XV||s}}, {{fecha|14|7|1789}}, {{unidad|5000|m}}", "el siglo XV, 14 de julio de 1789, 5000 m"),
        ("ru", "около {{num|15000|человек}}, {{нп5|Имя|имени|en|Name}}, {{s|5 км}}", "около 15\xa0000 человек, имени, 5 км"),
        ("ja", "{{読み仮名|水車|すいしゃ}}と{{仮リンク|粉屋|en|Miller}}", "水車（すいしゃ）と粉屋"),
        ("zh", "{{bd|1893年|12月26日|1976年|9月9日}}，{{tsl|en|Mill|磨坊}}", "1893年12月26日－1976年9月9日，磨坊"),
        ("it", "lungo {{M|5|ul=km}} e {{TA|a b}}", "lungo 5 km e a b"),
        ("pt", "{{dtext|25|4|1974}}, {{fmtn|12000}}", "25 de abril de 1974, 12.000"),
        ("ar", "{{وإو|تر=Mill|عر=طاحونة}} {{تحويل|5|كم}}", "طاحونة 5 كم"),
        ("sv", "{{enhet|5|km}}, {{språk|de|Mühle}}", "5 km, Mühle"),
    ],
)  # fmt: skip
def test_templates_of_other_wikis(language, markup, text):
    assert text_of(markup, language) == text


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        ("the {{lang|fr|[[Moulin|moulin]]}} ({{Lang-ru|мельница|mel'nitsa}})", "the moulin (мельница, mel'nitsa)"),
        ("{{langx|es|molino}} {{transl|ar|DIN|ṭāḥūna}} {{transl|ru|melnitsa}}", "molino ṭāḥūna melnitsa"),
        ("{{nihongo|Tokyo|東京|Tōkyō}} {{nihongo2|水}}", "Tokyo (東京, Tōkyō) 水"),
        ("{{nowrap|1=''a'' = b}} {{small|({{sc|bc}})}}", "a = b (bc)"),
        ("{{abbr|Dr.|Doctor}} {{sic|thier}} {{em|so}} {{angbr|th}}", "Dr. thier so ⟨th⟩"),
        ("said:\\n{{quote|Mills [[grind]].|A miller}}\\nend", "said:\\n\\nMills grind.\\n\\nend"),
        ("the sound {{IPA|/m/}} is; '''Mill''' ({{IPAc-en|m|ɪ|l}}; old)", "the sound /m/ is; Mill (old)"),
        ("{{ill|Mill|de|Mühle}} {{ill|de|Mühle|mill}} {{ill|Rad|de|lt=wheel}}", "Mill mill wheel"),
        ("word.{{rp|23}} said{{who|date=May 2010}} so", "word. said so"),
        ("the {{no such thing|wheel}} turns{{no such note|x}}, {{two|a|b}} it", "the wheel turns, it"),
        ("* {{no such list|12345}} x", "- x"),
        ("{{Infobox|a=1}}\\n{{Unknown box|words}}\\ntext", "text"),
        ("{{lc:ABC}} {{ucfirst:abc}} {{#if:x|y}}z", "abc Abc z"),
    ],
)  # fmt: skip
def test_words_stay(markup, text):
    assert text_of(markup.replace("\\n", "\n")) == text.replace("\\n", "\n")


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        ("A ({{efn|x}}; {{lang|x|}}, ) b", "A b"),
        ("A ({{cn}}; born 1850) b", "A (born 1850) b"),
        ("A ({{cn}}; born 1 May 1850 (O.S. 19 April)) b", "A (born 1 May 1850 (O.S. 19 April)) b"),
        ("A (1850; {{cn}}) b ({{cn}}, c; {{cn}}; d)", "A (1850) b (c; d)"),
        ("was $5 ({{Inflation|US|5|1900}} dollars in {{CURRENTYEAR}}) then", "was $5 then"),
        ("水（{{cn}}；川）と（{{cn}}）", "水（川）と"),
        ("call f() and main(void), then ( ) go", "call f() and main(void), then go"),
        ("a {{cn}} , b {{cn}}. c", "a, b. c"),
    ],
)
def test_brackets_keep_their_words(markup, text):
    assert text_of(markup) == text


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        ("so <math>x^2 + [y]</math>, <chem>CO2</chem>", "so x^2 + [y], CO2"),
        ("{{math|''E'' {{=}} ''mc''<sup>2</sup>}}, {{mvar|x}}", "E = mc^2, x"),
        ("CO<sub>2</sub>, {{chem|C|6|H|12}}, {{chem2|H2SO4}}, {{fchim|H|2|O}}", "CO2, C6H12, H2SO4, H2O"),
        ("10<sup>-3</sup> m<sup>2</sup>, 3<sup>rd</sup>", "10^-3 m2, 3rd"),
        ("<nowiki>{{a}} [[b]] ''c'' &amp; == d == <ref></nowiki>", "{{a}} [[b]] ''c'' & == d == <ref>"),
        ("<nowiki>* no list</nowiki>\n&#42; nor this &#91;&#91;x&#93;&#93;", "* no list\n* nor this [[x]]"),
        ("''It''<nowiki/>''s''", "Its"),
        ("''x''<sub>''i''</sub>, '''A'''<b>''b''</b>", "xi, Ab"),
        ("<pre>a [[b]]</pre>", "a [[b]]"),
        ("run <syntaxhighlight lang='c' inline>a[0]</syntaxhighlight> now", "run a[0] now"),
        ("A.\n<!-- x -->\nB <!-- y --> c", "A.\nB c"),
    ],
)  # fmt: skip
def test_what_is_no_markup_is_text(markup, text):
    assert text_of(markup) == text


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        ("The mill is\nold, and\n<math>\\alpha</math> is its angle.\nIt", "The mill is old, and \\alpha is its angle.\nIt"),
        ("a<br>b<div>c</div>d", "a\nb\nc\nd"),
        ("a\n* b\nc\n: d\n\ne", "a\n- b\nc\nd\n\ne"),
        ("A\n b\n c", "A\nb\nc"),
        ("the mill\n== a ==\nb", "the mill\n\na\n\nb"),
        ("* {{cn}}, a\n* {{cn}}.\n* b", "- a\n\n- b"),
        ("{{columns-list|2|\n* a\n* b}}", "- a\n- b"),
        ("{{columns-list|colwidth=9em|\n* a\n* b}}", "- a\n- b"),
    ],
)  # fmt: skip
def test_lines(markup, text):
    assert text_of(markup) == text


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("''a'' '''b''' '''''c'''''", "a b c"),
        ("l'''eau'' et d''''or'''", "l'eau et d'or"),
        ("''A'''s b", "A's b"),
        ("'''a''b'''c''", "abc"),
        ("x ''''''y''''''", "x 'y'"),
        ("the ''mill", "the mill"),
    ],
)
def test_apostrophes(line, text):
    assert text_of(line) == text


@given(st.lists(st.sampled_from(["a", "b ", " ", "'"]), max_size=30).map("".join))
def test_apostrophes_are_only_ever_taken_away(line):
    text = text_of(line)
    assert text.replace("'", "").split() == line.replace("'", "").split()
    if "''" not in line:
        assert text.split() == line.split()


@pytest.mark.parametrize(
    ("language", "markup", "text"),
    [
        ("zh", "-{zh-tw:磁碟;zh-cn:磁盘}-", "磁盘"),
        ("zh", "-{A|zh-hk:甲;zh-tw:乙}--{H|zh-cn:丙}--{T|丁}--{}-x", "乙x"),
        ("sr", "-{sr-el:kuća; sr-ec:кућа}- „-{Haus}-“", "кућа „Haus“"),
        ("zh", "-{zh-hans;zh-hant|甲}-{{lang|en|-{raw}-}}", "甲raw"),
        ("zh", "-{H|-{zh:a}-}-b", "b"),
    ],
)
def test_language_variants(language, markup, text):
    assert text_of(markup, language) == text


@pytest.mark.parametrize(
    "name", ["Bild", "Imagem", "Imagen", "Изображение", "画像", "Hình", "Archivo"]
)
def test_files_by_every_name(name):
    assert text_of(f"[[{name}:Rad.jpg|mini|200px|Das [[Rad]]]]Es steht.", "xx") == "Es steht."


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        ("A\n{{main|Mill}}<!-- note -->\nb {{hlist |[http://a.b {{small|1}}] |[http://c.d 2]}}", "A\n\nb 1, 2"),
        ("{{no such box|{{convert|5|km}}|x}}a {{refn|{{convert|5|km}}}} b {{convert|5|km}}", "a b 5 km"),
        ("{|\n| {{a|b=|}} || {{no such thing|x\n|}\nb", "b"),
        ("a {{nowrap|{|\n|x\n|}b}} c", "a b c"),
        ("[[a [[b]]\nc [[d\ne]] f [[g|h [i] j]]", "a b c d e f h [i] j"),
        ("<table><tr><td>a<table>b</table></table>c<ref name=x /> d<REF>e<br/></ref >f", "c df"),
        ("[[A:b|{{small|c}}]] [[:Category:D|e]][[Category:F|{{small|g}}]]", "c e"),
        ("{{!}} }} ]] [[ {{ a {|", "| a"),
    ],
)  # fmt: skip
def test_what_stands_in_each_other(markup, text):
    assert text_of(markup) == text


@pytest.mark.parametrize("opening", ["{{", "[[", "[[a|", "{|", "-{", "<ref>", "<!--", "<table>"])
def test_what_is_never_closed_costs_no_more_than_its_length(opening):
    """A thousand times as deep as anything is looked into; a quadratic reader takes minutes."""
    ends = {"{{": "}}", "[[": "]]", "[[a|": "]]", "{|": "|}", "-{": "}-"}
    assert isinstance(text_of(opening * 40_000 + ends.get(opening, "") * 40_000), str)
    assert text_of("{{nowrap|" * 10 + "x" + "}}" * 10) == "x"


def test_files_by_their_ending_and_links_that_are_none():
    assert text_of("[[Restr:Rad.svg|thumb|x]]a") == "a"
    assert text_of("[[Star Trek: Generations|film]] [[:File:A.png|file]]") == "film file"
    assert text_of("[[Media:A.ogg|hear it]]") == "hear it"


def test_the_table_of_templates():
    names = [name for names, _ in ROWS for name in names.split("|")]
    assert len(names) == len(set(names))
    assert not [name for name in names if name != name.lower() or name != name.strip()]
    functions = {shown[1:] for _, shown in ROWS if shown.startswith("=")}
    assert functions | {"pronounced"} == set(FUNCTIONS)
    assert all(shown.count("‹") == shown.count("›") for _, shown in ROWS)
    assert all(re.fullmatch(r"[^|:]+", name) for name in FILE_NAMES)


@given(st.text("[]{}|<>='*#:;_ab", max_size=40))
def test_text_is_never_markup(text):
    kept = as_text(text)
    assert signs(kept) == text
    assert (
        wikitext_text("x<nowiki>" + text.replace("<", "") + "</nowiki>y")
        == f"x{text.replace('<', '')}y"
    )


@given(st.lists(st.sampled_from(
    ["{{", "}}", "|", "=", "convert", "val", "date", "coord", "frac", "²", "5", "km", "lang", "zh", "-{", "}-",
     "''", "(", ")", ";", "\n", "[[", "]]", "<nowiki>", "</nowiki>", ":", "e", "1", "death date and age"]),
    max_size=40).map("".join), st.sampled_from(["en", "fr", "de", "zh", "es", "xx"]))  # fmt: skip
def test_any_templates_give_text(markup, language):
    assert isinstance(text_of(markup, language), str)
