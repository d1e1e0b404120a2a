"""The tokenizer gives back what it was given, and says so when a file is not fit for use."""

from pathlib import Path

import pytest
from tokenizers import Tokenizer, pre_tokenizers

from janus.errors import WeightsMissingError
from janus.prompts.tokenizer import IMAGE, IMAGE_START, JanusTokenizer

TEXTS = ["", " ", "a  b", "héllo wörld", "一只红色的狐狸", "🦊🏽‍🦰", "\n\n\t", "<|User", "a" * 500]


@pytest.mark.parametrize("text", TEXTS)
def test_round_trip(vocabulary: JanusTokenizer, text: str):
    assert vocabulary.decode(vocabulary.encode(text)) == text


@pytest.mark.parametrize("text", TEXTS)
def test_streamed_equals_whole(vocabulary: JanusTokenizer, text: str):
    stream = vocabulary.stream()
    assert "".join(stream.add(token) for token in vocabulary.encode(text)) == text


def test_saved_and_opened_again(vocabulary: JanusTokenizer, tmp_path: Path):
    (tmp_path / "tokenizer.json").write_text(vocabulary.to_json(), encoding="utf-8")
    opened = JanusTokenizer.open(tmp_path)
    assert opened.special == vocabulary.special
    assert opened.encode("a dog") == vocabulary.encode("a dog")


def test_a_missing_placeholder_is_added(vocabulary: JanusTokenizer):
    text = vocabulary.to_json().replace(IMAGE, "<something_else>")
    opened = JanusTokenizer(Tokenizer.from_str(text))
    assert opened.special.image == len(opened) - 1


def test_lost_spaces_are_noticed(vocabulary: JanusTokenizer):
    tokenizer = Tokenizer.from_str(vocabulary.to_json())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    with pytest.raises(WeightsMissingError, match="does not give back"):
        JanusTokenizer(tokenizer)


def test_missing_special_tokens_are_named(vocabulary: JanusTokenizer):
    text = vocabulary.to_json().replace(IMAGE_START, "<other>")
    with pytest.raises(WeightsMissingError, match=IMAGE_START):
        JanusTokenizer(Tokenizer.from_str(text))


def test_missing_and_broken_files(tmp_path: Path):
    with pytest.raises(WeightsMissingError, match="missing"):
        JanusTokenizer.open(tmp_path)
    (tmp_path / "tokenizer.json").write_text("{")
    with pytest.raises(WeightsMissingError, match="cannot be read"):
        JanusTokenizer.open(tmp_path)
