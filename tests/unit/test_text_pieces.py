import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, normalizers, pre_tokenizers
from tokenizers.models import BPE, Unigram, WordPiece

from analysis.geometry import ragged
from ml_backend.predictors.text_pieces import cut_windows, find_words, split

LETTERS = [chr(code) for code in range(33, 127)]


def wordpiece(**cleaning):
    pieces = ["[UNK]", *LETTERS, *(f"##{letter}" for letter in LETTERS)]
    vocabulary = {piece: place for place, piece in enumerate(pieces)}
    tokenizer = Tokenizer(WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(**cleaning)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    return tokenizer


def byte_level():
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {letter: place for place, letter in enumerate(alphabet)}
    tokenizer = Tokenizer(BPE(vocabulary, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    return tokenizer


def metaspace(*, whole=False):
    """As SentencePiece's: words end at blanks alone, or nowhere at all."""
    pieces = ["<unk>", "▁", *LETTERS, "▁Par", "is", "東", "京", "駅", "é", "ä"]
    tokenizer = Tokenizer(Unigram([(piece, -2.0) for piece in pieces], 0, byte_fallback=False))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(split=not whole)
    return tokenizer


TOKENIZERS = {
    "wordpiece": wordpiece(),
    "uncased": wordpiece(lowercase=True, strip_accents=True),
    "byte level": byte_level(),
    "metaspace": metaspace(),
    "one word": metaspace(whole=True),
}


def words(tokenizer, *texts):
    found = find_words(split(tokenizer, texts), texts)
    return [
        [texts[row][found.start[at] : found.end[at]] for at in range(low, high)]
        for row, (low, high) in enumerate(zip(found.offsets[:-1], found.offsets[1:], strict=True))
    ]


@pytest.mark.parametrize("tokenizer", TOKENIZERS.values(), ids=TOKENIZERS)
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("In Paris.", ["In", "Paris", "."]),
        ("  (Paris)\n\n2026 ", ["(", "Paris", ")", "2026"]),
        ("Jean-Luc", ["Jean", "-", "Luc"]),
        ("", []),
        (" \t", []),
    ],
)
def test_words_are_the_same_whatever_the_tokenizer(tokenizer, text, expected):
    assert words(tokenizer, text) == [expected]


@pytest.mark.parametrize("name", ["metaspace", "one word"])
def test_scripts_without_blanks_are_read_piece_by_piece(name):
    assert words(TOKENIZERS[name], "東京駅 is") == [["東", "京", "駅", "is"]]


@pytest.mark.parametrize("name", ["uncased", "byte level"])
def test_accents_stay_with_their_letters(name):
    assert words(TOKENIZERS[name], "Ame\u0301lie ate") == [["Ame\u0301lie", "ate"]]


def test_numbers_and_names_are_whole_whatever_the_tokenizer_cuts():
    assert words(TOKENIZERS["byte level"], "B2B since 2023") == [["B2B", "since", "2023"]]


def test_bytes_of_one_character_are_one_word():
    assert words(TOKENIZERS["byte level"], "😀 né") == [["😀", "né"]]


def test_the_first_piece_has_the_tag_of_its_word_even_when_it_is_blank():
    tokenizer, texts = TOKENIZERS["metaspace"], ["In Rome"]
    pieces = split(tokenizer, texts)
    found = find_words(pieces, texts)
    named = [tokenizer.id_to_token(piece) for piece in pieces.ids[found.piece].tolist()]
    assert words(tokenizer, *texts) == [["In", "Rome"]]
    assert named == ["▁", "▁"]


@given(
    st.lists(st.text(max_size=30), max_size=5),
    st.sampled_from(sorted(TOKENIZERS)),
)
def test_words_are_in_order_apart_and_never_blank_at_their_ends(texts, name):
    found = find_words(split(TOKENIZERS[name], texts), texts)
    assert found.offsets[0] == 0
    assert found.offsets[-1] == len(found.piece)
    for row, text in enumerate(texts):
        part = slice(found.offsets[row], found.offsets[row + 1])
        start, end = found.start[part], found.end[part]
        assert (start < end).all()
        assert (start[1:] >= end[:-1]).all()
        assert (end <= len(text)).all()
        for low, high in zip(start, end, strict=True):
            assert text[low:high] == text[low:high].strip()


@given(
    st.lists(st.text(st.characters(codec="utf-8"), max_size=20), min_size=1, max_size=4),
    st.sampled_from(sorted(TOKENIZERS)),
)
def test_a_text_has_the_same_words_alone_and_among_others(texts, name):
    tokenizer = TOKENIZERS[name]
    assert words(tokenizer, *texts) == [words(tokenizer, text)[0] for text in texts]


@given(st.lists(st.integers(0, 200), max_size=8), st.integers(2, 40))
def test_windows_speak_for_every_piece_once(lengths, size):
    offsets = ragged.starts(np.array(lengths, dtype=np.int64))
    found = cut_windows(offsets, size)
    assert (found.begin <= found.keep).all()
    assert (found.until <= found.end).all()
    spoken = [
        row for low, high in zip(found.keep, found.until, strict=True) for row in range(low, high)
    ]
    assert spoken == list(range(offsets[-1]))
    assert (found.end - found.begin <= size).all()
    text = np.searchsorted(offsets, found.begin, side="right")
    assert (found.end <= offsets[np.minimum(text, len(offsets) - 1)]).all()
    inner = (found.keep != offsets[text - 1]) & (found.keep > found.begin)
    assert (found.keep - found.begin >= size // 8)[inner].all()
