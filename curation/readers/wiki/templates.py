"""What templates show: a table, one row for names that show the same.

A row is (names separated by "|", what is shown). In it `{2}` is the second argument, `{2|text}` the
second or else the one called text, `{*, }` all unnamed ones joined by ", "; what stands in ‹ › is
shown only if every argument in it is there, and `{?3}` asks for one without showing it. The result
is markup again. A name with a language in front (`fr:s`) is that wiki's only. A value `=name` is a
function of `curation.readers.wiki.numbers`; "" shows nothing. `PIPE`, `EQUALS` and `APOSTROPHE`
are those signs as text.

The names are those of the twelve largest Wikipedias (en de fr es ru ja zh it pt pl nl sv, and ar).
"""

from __future__ import annotations

from curation.readers.wiki.marks import APOSTROPHE, EQUALS, PIPE

ROWS: tuple[tuple[str, str], ...] = (
    # ---- the words of the argument, in another script, size, font or link
    (
        "nowrap|nobr|no wrap|nbr|nowrap begin|ta|tutto attaccato|esd|espacio duro|avoid wrap|"
        "small|smaller|small2|big|large|larger|huge|center|centre|klein|petit|"
        "sc|small caps|smallcaps|smcaps|sm|smc|pc|petites capitales|kapitälchen|versalita|maiuscoletto|"
        "caps|allcaps|uc|nocaps|abbr|abbrv|abbreviation|abbrlink|abk|abkürzung|abréviation|abreviatura|"
        "tooltip|hover|comment|popup|förk|förkortning|code|mono|tt|monospace|monospaced|samp|kbd|var|"
        "key|keypress|key press|taste|em|strong|italic|noitalic|noitalics|nobold|"
        "normal|roman|strike|ins|underline|u|overline|overbar|not a typo|notatypo|typo|as written|"
        "proper name|proper noun|math|mvar|bigmath|bmath|tmath|chem2|ce|formule|formula|"
        "unicode|unicode fonts|polytonic|grec ancien|hebrew|nastaliq|arabic|script/arabic|script/hebrew|"
        "jis2004フォント|jis2004font|cp932フォント|補助漢字フォント|拡張漢字|僻字|"
        "vanchor|visible anchor|ancre visible|citation needed span|cn span|fact span|cns|"
        "refnec|référence nécessaire|refsou|référence souhaitée|senza fonte|chiarire|cita requerida|"
        "passage évasif|pas clair|préciser texte|clarify span|"
        "flag|flagu|flagcountry|country|drapeau2|bandera2|bandiera|флаг|флагификация|bandeira2|"
        "link-en|link-de|link-fr|link-ja|link-ko|link-ru|link-es|link-it|le|"
        "interlinguallink|nom propre|"
        "railgauge|track gauge|rail gauge|voie|oeis|by|baseball year|nfly|mlby|nbay|ruby|rubi|"
        "nihongo2|no spam|bdi|rtl|ltr|"
        "de:s|ru:s|ru:nobr|ru:comment|ru:abbr|hw|sans|serif|"
        "highlight|emphasis|emph|"
        "نص|خط|لفظ أجنبي|رياضيات|الرياضيات|неперевод|нобр|не разрывать|подсказка|"
        "afkorting|skrót|sigla|abreviação|acrónimo|"
        "pequeño|pequeno|małe|mały|мелкий текст|小",
        "{1|texte|texto|testo|content|inhalt}",
    ),
    (
        "lang|language|langue|lengua|lingua|ling|språk|taal|język|язык|لغة|rtl-lang|script|"
        "color|colour|font color|fontcolor|couleur|cor|farbe|resize|font size|fontsize|"
        "native name|nativename|native phrase|numblk|numbered block|"
        "audio|audio2|lan|цвет|tcolor|couleur texte|"
        "enlace desambiguado|abrev",
        "{2|texte|texto|testo}",
    ),
    ("langx|lang-x", "{2|text}‹, {3|translit}›‹, ‘{4|lit|translation}’›"),
    ("transl|transliteration|tlit|translit|romanization|wikt-lang|wt|wikilang", "{3|2|1}"),
    (
        "nihongo|japonais|japonês|nihongo krt|nihongo title|jap|jpn",
        "{1}‹ ({2}‹, {3}›)›//‹{3}‹ ({2})››//{2}",
    ),
    ("nihongo3|nihongo4", "{1}‹ ({2}‹, {3}›)›//{2}"),
    ("読み仮名|読み仮名 ruby不使用|読み|ふりがな|振り仮名|yomi", "{1}‹（{2}）›"),
    ("korean|coréen|韓国語|korean/auto", "{hangul|1}‹; {hanja|2}›‹; {rr|mr}›"),
    ("zh|chinese|chinois|zh-full|zh-cpw|lang-zh", "{c|s|t|1}‹{?s}‹, {t}››‹, {p}›‹, ‘{l}’›"),
    ("gloss|gloss2|translation|trans", "‘{1}’"),
    ("lit|literal translation|literally|lit.", "lit. ‘{1}’"),
    ("ill|interlanguage link|illm|ill2|interlanguage link multi", "=linked"),
    ("仮リンク", "{label|1}"),
    ("tsl|translink|liên kết ngôn ngữ", "{4|3|2}"),
    (
        "нп|нп1|нп2|нп3|нп4|нп5|не переведено|не переведено 2|не переведено 3|не переведено 4|не переведено 5|iw|iw5",
        "{2|1}",
    ),
    ("وإو|وصلة إنترويكي", "{نص|عر|1}"),
    ("internal link helper|internal link helper/en|illm2", "{d|1}"),
    ("linktext|wikt-link", "{* }"),
    ("chem|fchim|chemical formula|summenformel|хф|chimie", "{*}"),
    ("hlist|flatlist|flat list|cslist|comma separated entries|liste horizontale", "{*, }"),
    ("ubl|plainlist|plain list|unbulleted list|ublist|div col list", "\n{*\n}\n"),
    ("columns-list|columnslist|col-list|cols", "\n{2|1}\n"),
    ("sic|sic2", "{1}{2}//[sic]"),
    ("angbr|angle bracket|grapheme|angbr ipa", "⟨{1}⟩"),
    ("fr:guil|fr:citation|fr:«|fr:« »", "« {1} »"),
    ("fr:citation étrangère|fr:langue citation", "« {2} »"),
    ("incise|tiret", "– {1} –"),
    (
        "quote|blockquote|quotation|cquote|poemquote|poem quote|bq|talkquote|"
        "zitat|zitat-de|zitat-en|citation bloc|cita|cita bloque|citazione|цитата|cytat|citaat|citat|"
        "citat2|citação|quote2|quoteblock|bquote|引用|引用文|quote frame|اقتباس|اقتباس مضمن|кратная цитата",
        "\n{1|quote|texte|texto|testo|inhalt|содержание|tekst|citat|نص}\n",
    ),
    # ---- numbers
    (
        "convert|cvt|convertir|converter|umrechnung|konwertuj|omrekenen|konvertera|تحويل|convert2",
        "=converted",
    ),
    ("convinfobox|convert/2|convinfobox/pri2", "=converted"),
    ("val|value|physval", "=measured"),
    (
        "unité|unite|unité/2|dunité|unidad|unid|enhet|unità|eenheid|nombre|nb|num|число|численность|nombre2|num2|unit|quantity",
        "=quantity",
    ),
    ("it:m|misura", "{1}‹{?e}×10<sup>{e}</sup>›‹ {u|ul|2}›"),
    (
        "formatnum|fmtn|formatprice|format price|fnum|nts|number table sorting|nombre trié|formatnumber|zahl|fmt",
        "=number",
    ),
    ("gaps", "{* }"),
    (
        "frac|fraction|sfrac|sfrac2|tfrac|dfrac|frac2|vulgar fraction|bruch|fracción|fração|frazione|дробь|ułamek|breuk|breukteken|分数",
        "=fraction",
    ),
    ("e|esp", "×10<sup>{1}</sup>"),
    ("fr:e|fr:er|fr:re|fr:ère|fr:nd|fr:nde|fr:ème|fr:o|fr:os|fr:exp|fr:exposant", "=ordinal"),
    ("x10|10^|e10", "×10<sup>{1}</sup>"),
    ("sup|superscript|exposant|hochgestellt|sobrescrito|superíndice", "<sup>{1}</sup>"),
    ("sub|ind|subscript|indice|tiefgestellt|subíndice|subscrito", "<sub>{1}</sub>"),
    ("subsup|su", "{1}<sub>{2|b}</sub><sup>{3|p}</sup>"),
    ("nuclide2|nuclide|simplenuclide|simplenuclide2|isotope", "{1}-{2}"),
    ("ratio", "{*:}"),
    ("circa|c.|ca.|circ|ca|abt|approx|c", "c. {1}‹ – c. {2}›//c. "),
    ("floruit|fl.|fl", "fl. {1}‹–{2}›//fl. "),
    ("reign|r.", "r. {1}‹–{2}›"),
    ("radic|sqrt|root|raiz|racine", "√‹{1}›"),
    ("abs", f"{PIPE}{{1}}{PIPE}"),
    ("floor", "⌊{1}⌋"),
    ("ceil|ceiling", "⌈{1}⌉"),
    ("usd|us$|us dollar|dollar|$", "$‹{1}›"),
    ("gbp|£|pound sterling|gb£", "£‹{1}›"),
    ("eur|€|euro|euros", "€‹{1}›"),
    ("inr|₹|rupee|indian rupee|rs", "₹‹{1}›"),
    ("jpy|¥|yen|cny|rmb|cn¥", "¥‹{1}›"),
    ("aud|a$", "A${1}"),
    ("cad|c$|can$", "C${1}"),
    ("krw|₩|won", "₩{1}"),
    ("höhe|height msl", "{1} m"),
    ("heure|h-m", "{1} h‹ {2}›"),
    ("temps|durée", "{1} h‹ {2} min›‹ {3} s›"),
    ("height", "‹{ft} ft›‹ {in} in›‹{m} m›‹{cm} cm›"),
    ("coord", "=place"),
    # ---- dates; those that hold an age of today show the date alone
    (
        "birth date|birth-date|birth date and age|birth-date and age|bda|dob|start date|start date and age|"
        "start-date|end date|end-date|release date|film date|dts|date table sorting|launch date|"
        "birth year and age|opening date|sorteerdatum|data di nascita|geboren|fecha de inicio",
        "=date_ymd",
    ),
    (
        "death date|death date and age|death-date|death-date and age|dda|death date and given age",
        "=death",
    ),
    (
        "date|date-|datum|data|fecha|dtext|dni|nascimento|дата|date de naissance|date-de|fecha de nacimiento|dia",
        "=date_dmy",
    ),
    ("as of|asof", "=as_of"),
    ("oldstyledate|old style date", "{1}, {2} (O.S. {3})"),
    ("bd", "{1}{2}－{3}{4}"),
    ("fr:s|fr:s-|fr:siècle|fr:-s|fr:-s-|fr:s mini|fr:s mini-|fr:sap", "{1}{2} siècle‹ {3}›"),
    ("fr:s2|fr:s2-", "{1}{2} et {3}{4} siècles"),
    ("fr:sp|fr:sp-", "{1}{2} {3} {4}{5} siècle"),
    ("fr:av jc|fr:avjc|fr:-jc|fr:av. j.-c.", "av. J.-C."),
    ("fr:ap jc|fr:apjc|fr:ap. j.-c.", "apr. J.-C."),
    ("fr:mme|fr:m.|fr:mlle|fr:mgr|fr:dr|fr:me|fr:pr|fr:st|fr:ste", "=titled"),
    ("fr:n°|fr:numéro|fr:no|n°", "no {1}"),
    ("fr:p.|p.|pp.", "p. {1}"),
    ("siglo", "‹{?3}siglo ›{1}‹{?2} a. C.›"),
    ("séc|século|sec", "século {1}"),
    ("es:ac|pt:ac|it:ac|a.c.|a. c.", "‹{1} ›a. C."),
    ("es:dc|pt:dc|it:dc|d.c.|d. c.", "‹{1} ›d. C."),
    # ---- names
    ("hms|uss|ss|mv|rms|hmas|hmcs|usns|rv|sms|hmnzs|uscgc|rfa|hmt", "=titled"),
    ("ship|schiff|navire", "{1} {2}"),
    ("sclass|sclass2|sclass-|ship class", "{1}-class {2}"),
    ("bibleref|bibleref2|sourcetext|bible", "{1} {2}"),
    ("bibleverse", "‹{1} ›{2} {3}"),
    ("isbn|issn", ""),
    # ---- signs
    ("!|pipe|vertical bar", PIPE),
    ("=|equals", EQUALS),
    ("'|apostrophe|apos|’", APOSTROPHE),
    ("'s|’s", f"{APOSTROPHE}s"),
    ("`", "`"),
    ('"', '"‹{1}"›'),
    ('\' "|\'"|-"|" \'', f"{APOSTROPHE}”"),
    ("ndash|en dash|endash|–|nda", "–"),
    ("mdash|em dash|emdash|—|mdashb|mda", "—"),
    ("spaced ndash|snd|spnd|snds|spndash|spaced en dash|sndash|dash", " – "),
    ("spaced mdash|smd|spaced em dash", " — "),
    ("·|dot|middot|•|bull|bullet|•w|·w|interpunct|∙", " · "),
    ("\\|backslash|/|slash", "/"),
    ("nbsp|space|spaces|sp|thinsp|thin space|hair space|espace|figure space|esp.|nbs", " "),
    ("shy|wbr|zwj|zwnj|zwsp|wj", ""),
    ("okina|ʻokina", "ʻ"),
    ("hamza", "ʾ"),
    ("ayin", "ʿ"),
    ("pi", "π"),
    ("times|x", "×"),
    ("minus", "−"),
    ("pm|±|plusminus|+-", "±‹{1}›"),
    ("prime|′", "‹{1}›′"),
    ("pprime|″", "‹{1}›″"),
    ("degree|deg|°", "‹{1}›°"),
    ("°c|celsius", "‹{1} ›°C"),
    ("°f|fahrenheit", "‹{1} ›°F"),
    ("eqm", "⇌"),
    ("no.|number sign|numero", "No.‹ {1}›"),
    ("ampersand|amp", "&"),
    ("infinity|infin", "∞"),
    ("music|musica", "=note_sign"),
    ("ordinal", "{1}."),
    # ---- nothing: notes, marks of doubt, icons, anchors, what only the wiki computes
    (
        "rp|efn|efn-ua|efn-la|refn|sfn|sfnp|sfnm|harv|harvnb|harvtxt|note|ref|ref label|note label|r|#tag|"
        "citation needed|cn|fact|who|when|which|where|why|clarify|vague|dubious|page needed|disputed inline|"
        "by whom|according to whom|failed verification|better source|update inline|flagicon|flag icon|"
        "flagdeco|fb|anchor|ancre|anker|якорь|shortcut|listen|respell|clear|-|br|ipa audio|speaker|"
        "нет аи|источник?|carece de fontes|quand|où|qui|quoi|lequel|réf. nécessaire|cita necesaria|"
        "fakt|w języku|j|bron?|källa behövs|要出典|来源请求|來源請求|需要引文|بحاجة لمصدر|bez źródła|citazione necessaria|"
        "increase|decrease|steady|dagger|double-dagger|fr icon|en icon|"
        "de icon|es icon|it icon|ru icon|mediawiki|toc|notetag|noteta|extinct",
        "",
    ),
    (
        "age|age in years|age in days|age in years and days|age in years, months and days|ageyears|years ago|"
        "âge|edad|idade|alter|возраст|età|leeftijd|wiek|ålder|年齢|age as of date|time ago|years since|"
        "inflation|inflation/year|currentyear|currentmonth|currentmonthname|currentday|currenttime|"
        "currentdate|today|#expr|#time|#invoke|#property|#statements|numberofarticles|numberofusers|"
        "numberofpages|population|inrconvert|"
        "inflatie|teuerung|inflación|inflação",
        "=computed",
    ),
)


def rows() -> dict[str, str]:
    """Return what each template shows, by its name in lower case."""
    return {name: shown for names, shown in ROWS for name in names.split("|")}
