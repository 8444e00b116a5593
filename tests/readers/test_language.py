"""The language of a text: whatever its case and form, and where something else stands above it."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny_language_model import write_language_model

from curation.readers.language import PART_CHARS, PARTS, languages, read_part
from curation.readers.language_model import ModelFile

TEXTS = {
    "en": "The quick brown fox jumps over the lazy dog and then goes home.",
    "de": "Der schnelle braune Fuchs springt über den faulen Hund und geht nach Hause.",
    "fr": "Le renard brun saute par-dessus le chien paresseux et rentre chez lui.",
    "tr": "İki kardeş ılık bir sabahta kıyıya indi, ağları topladı ve işe koyuldu.",
    "az": "İki qardaş səhər tezdən sahilə endi, torları yığdı və işə başladı.",
    "el": "Η γρήγορη αλεπού πηδά πάνω από τον τεμπέλη σκύλο και γυρίζει σπίτι.",
    "hy": "Արագ շագանակագույն աղվեսը ցատկում է ծույլ շան վրայով և գնում տուն։",
    "ka": "სწრაფი ყავისფერი მელა ახტება ზარმაც ძაღლს და მიდის სახლში.",
    "ru": "Быстрая коричневая лиса прыгает через ленивую собаку и идёт домой.",
    "zh": "敏捷的棕色狐狸跳过了懒狗，然后回家了。",
    "ja": "素早い茶色の狐がのろまな犬を飛び越えて家に帰ります。",
}
TRADITIONAL = "敏捷的棕色狐狸跳過了懶狗，然後回家了。"


def test_languages() -> None:
    codes, scores = languages(list(TEXTS.values()))
    assert codes == list(TEXTS)
    assert all(0.5 < score <= 1 for score in scores)
    assert languages([TRADITIONAL])[0] == ["zh"]
    assert languages([]) == ([], [])


def _upper(text: str) -> str:
    """In capitals, as its language has them: İ is the capital of the Turkish and Azerbaijani i."""
    return (text.replace("i", "İ") if "İ" in text else text).upper()


@pytest.mark.parametrize("form", [_upper, str.title, lambda text: _upper(text[::-1])[::-1]])
@pytest.mark.parametrize("code", TEXTS)
def test_case_does_not_matter(code: str, form: object) -> None:
    assert callable(form)
    assert languages([form(TEXTS[code])])[0] == [code]


def test_one_capital_of_turkish_does_not_make_a_text_turkish() -> None:
    text = "I THINK I SAW İSTANBUL WHEN I WAS IN THE CITY; I LIKED IT, AND I WILL SEE IT AGAIN"
    assert "ı" not in read_part(text)
    assert languages([text])[0] == ["en"]


@pytest.mark.parametrize(
    "text",
    ["", "\n\n", "\0\r\n", "12345", "3.14 -- 2,718 / 9", "\U0001f600 \U0001f468‍\U0001f469",
     "https://a.example/the/way/home?x=the", "www.a.example/x me@a.example", "!?", "٣٤٥", "-- *** --"],
)  # fmt: skip
def test_without_words_it_is_und(text: str) -> None:
    assert languages([text]) == (["und"], [0.0])


@pytest.mark.parametrize(
    "noise", ["\n", "\r\n", " ", "\0", "\xa0", "　\u2028", " 12:30 ", "\nhttps://a.example/x\n"]
)
def test_what_is_no_word_does_not_matter(noise: str) -> None:
    for text in TEXTS.values():
        assert languages([text.replace(" ", noise)])[1] == pytest.approx(languages([text])[1])


def test_letters_and_their_accents_may_stand_apart() -> None:
    for text in map(_upper, TEXTS.values()):
        assert read_part(unicodedata.normalize("NFD", text)) == read_part(text)


@pytest.mark.parametrize("menu_chars", [300, 1000, 3000])
def test_what_stands_above_a_text_is_not_its_language(menu_chars: int) -> None:
    menu = "Home\nAbout us\nContact\nYour account\nSign in\nPrivacy policy\nSearch this site\n" * 99
    text = menu[:menu_chars] + (TEXTS["de"] + "\n") * (menu_chars // 10)
    assert languages([text])[0] == ["de"]


def test_a_long_text_is_read_in_a_few_places() -> None:
    most = PARTS * (PART_CHARS + 1)
    assert len(read_part("wort " * 1_000_000)) <= most
    assert read_part("a" * 10_000_000) == " " + " ".join(["a" * PART_CHARS] * PARTS)
    assert read_part("{" * 10_000_000) == ""


@given(st.text())
def test_one_answer_for_each_text(text: str) -> None:
    (code,), (score,) = languages([text])
    assert code
    assert 0 <= score <= 1
    assert languages(["x", text, "y"])[0][1] == code  # batches do not matter


def test_a_model_of_the_users_gives_its_own_labels(tmp_path: Path) -> None:
    one = ModelFile("1", write_language_model(tmp_path / "one.bin"))
    two = ModelFile("2", write_language_model(tmp_path / "two.bin", ("en", "de")))
    texts = ["THE THE", "der der", "12"]
    assert languages(texts, one)[0] == ["eng_Latn", "deu_Latn", "und"]
    assert languages(texts, two)[0] == ["en", "de", "und"]
    assert min(languages(texts[:2], one)[1]) > 0.9


def test_many_texts_have_the_languages_of_few() -> None:
    """Many texts at once go through our own kernel, few through fastText."""
    texts = [part for text in TEXTS.values() for part in (text, text[:9], f"</s> {text}", "1 2")]
    few = [languages([text]) for text in texts]
    codes, scores = languages(texts * 4)
    assert codes == [code for (code,), _ in few] * 4
    assert scores == [score for _, (score,) in few] * 4
