"""Names that a MediaWiki dump does not carry: aliases of namespaces, redirect words, months.

The names are those of MediaWiki's own files `languages/messages/Messages*.php`. A dump lists each
namespace by one name only; articles also use its aliases (`Bild:` on the German Wikipedia).
"""

from __future__ import annotations

from dataclasses import dataclass, field

_FILE_NAMES = (
    "file image bild datei fichier imagen archivo immagine imagem ficheiro arquivo изображение файл "
    "зображення илустрација слика датотека plik grafika afbeelding bestand fil billede bilde mynd "
    "kuva tiedosto pilt fail attēls vaizdas kép fájl soubor obrázek súbor obrázok imagine fișier "
    "fişier dosya resim εικόνα αρχείο תמונה קובץ ملف صورة پرونده تصویر चित्र ছবি படிமம் ภาพ ไฟล์ "
    "hình tập_tin berkas gambar imej 画像 ファイル 文件 文件夹 档案 檔案 图像 圖像 圖片 图片 파일 그림 "
    "imatge fitxer fitxategi irudi imaxe slika датотека выява файл сурэт сурет şəkil fayl "
    "պատկեր ფაილი სურათი dosiero lêer beeld íomhá delwedd skeudenn restr"
)
_CATEGORY_NAMES = (
    "category kategorie catégorie categoría categoria категория категорія категорија kategoria "
    "categorie kategori kategória luokka kategooria kategorija kategória kategorie flokkur "
    "κατηγορία קטגוריה تصنيف رده श्रेणी বিষয়শ্রেণী பகுப்பு หมวดหมู่ thể_loại kategori "
    "カテゴリ 分类 分類 분류 kategorio kategoriya կատեգորիա კატეგორია catagóir rummad kategoriija"
)
FILE_NAMES = frozenset(_FILE_NAMES.replace("_", " ").split(" ")) | {"tập tin", "hình"}
CATEGORY_NAMES = frozenset(_CATEGORY_NAMES.split()) | {"thể loại"}
MEDIA_NAMES = frozenset({"media", "medium", "média", "медиа", "メディア", "媒体", "媒體文件"})
# Namespaces of every wiki, in English, whatever its language: those that hold no articles.
NO_ARTICLES = frozenset(
    "talk user template help portal draft book module mediawiki project wikipedia special timedtext "
    "gadget topic education_program".replace("_", " ").split()
)
# "#REDIRECT" in the languages of the larger wikis.
_REDIRECT_WORDS = (
    "redirect weiterleitung redirection redirección redireccion redirecionamento перенаправление "
    "перенапр преусмери преусмјери пренасочване перанакіраванне перенаправлення rinvia rinvio "
    "redirecionar doorverwijzing patrz przekieruj tam omdirigering ohjaus uudelleenohjaus suuna "
    "átirányítás presmeruj přesměruj preusmeritev preusmjeri redirecteaza yönlendirme "
    "ανακατευθυνση הפניה تحويل تغییر_مسیر अनुप्रेषित पुनर्निर्देशित পুনর্নির্দেশ เปลี่ยนทาง đổi alih 転送 リダイレクト "
    "重定向 重新導向 넘겨주기 redirecció birzuzendu redirixir alidirektu alidirektigu aýdaw перенакіраваньне "
    "ifrið tilvísun omdiriger viderestilling айдау бағыттау istiqamətləndirmə yoʻnaltirish "
    "վերահղում გადამისამართება aanstuur athsheoladh ail-cyfeirio adkas tilvisun stýra"
)
REDIRECT_WORDS = frozenset(_REDIRECT_WORDS.split())

# Thousands mark and decimal mark of numbers that {{formatnum:}} and {{convert}} write.
NUMBER_MARKS = {
    "en": ",.", "zh": ",.", "ja": ",.", "ko": ",.", "he": ",.", "th": ",.", "simple": ",.",
    "de": ".,", "es": "\xa0,", "it": ".,", "nl": ".,", "pt": ".,", "id": ".,", "tr": ".,",
    "da": ".,", "ca": ".,", "vi": ".,", "sr": ".,", "el": ".,", "ro": ".,", "hr": ".,", "sl": ".,",
    "fr": "\xa0,", "ru": "\xa0,", "pl": "\xa0,", "sv": "\xa0,", "uk": "\xa0,", "cs": "\xa0,",
    "fi": "\xa0,", "nb": "\xa0,", "no": "\xa0,", "hu": "\xa0,", "bg": "\xa0,", "sk": "\xa0,",
}  # fmt: skip
# How a date is written, and the months as they stand in it.
_LATIN_DATE = "{d} {m} {y}"
MONTHS: dict[str, tuple[str, str]] = {
    "en": ("{d} {m} {y}", "January February March April May June July August September October November December"),
    "de": ("{d}. {m} {y}", "Januar Februar März April Mai Juni Juli August September Oktober November Dezember"),
    "fr": (_LATIN_DATE, "janvier février mars avril mai juin juillet août septembre octobre novembre décembre"),
    "es": ("{d} de {m} de {y}", "enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre"),
    "pt": ("{d} de {m} de {y}", "janeiro fevereiro março abril maio junho julho agosto setembro outubro novembro dezembro"),
    "it": (_LATIN_DATE, "gennaio febbraio marzo aprile maggio giugno luglio agosto settembre ottobre novembre dicembre"),
    "nl": (_LATIN_DATE, "januari februari maart april mei juni juli augustus september oktober november december"),
    "sv": (_LATIN_DATE, "januari februari mars april maj juni juli augusti september oktober november december"),
    "pl": (_LATIN_DATE, "stycznia lutego marca kwietnia maja czerwca lipca sierpnia września października listopada grudnia"),
    "ru": (_LATIN_DATE, "января февраля марта апреля мая июня июля августа сентября октября ноября декабря"),
    "ja": ("{y}年{m}{d}日", "1月 2月 3月 4月 5月 6月 7月 8月 9月 10月 11月 12月"),
    "zh": ("{y}年{m}{d}日", "1月 2月 3月 4月 5月 6月 7月 8月 9月 10月 11月 12月"),
}  # fmt: skip
# Variants of a language that a wiki is written in, the one to show first.
VARIANTS = {
    "zh": "zh-cn zh-hans zh-sg zh-my zh-hant zh-tw zh-hk zh-mo",
    "sr": "sr-ec sr-cyrl sr-el sr-latn",
    "sh": "sh-latn sh-cyrl",
    "kk": "kk-cyrl kk-kz kk-latn kk-arab",
    "ku": "ku-latn ku-arab",
    "uz": "uz-latn uz-cyrl",
    "tg": "tg tg-latn",
    "gan": "gan-hans gan-hant",
    "crh": "crh-latn crh-cyrl",
}


@dataclass(frozen=True, slots=True)
class Wiki:
    """What the text of a page depends on besides its markup: the wiki's language code, and its own
    names (lower case) of the namespaces of files and of categories."""

    language: str = "en"
    file_names: frozenset[str] = field(default=FILE_NAMES)
    category_names: frozenset[str] = field(default=CATEGORY_NAMES)


ENGLISH = Wiki()
