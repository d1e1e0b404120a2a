"""Text <-> ids, with the special tokens found by name and the tokenizer's own faults caught early.

Opens a checkpoint's `tokenizer.json` with the `tokenizers` library itself: some versions of
transformers replace the byte-level rules of this file with others that swallow every space.
"""

import os
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from tokenizers import AddedToken, Tokenizer
from tokenizers.decoders import DecodeStream
from tokenizers.processors import TemplateProcessing

from janus.errors import WeightsMissingError

BOS = "<\uff5cbegin\u2581of\u2581sentence\uff5c>"
EOS = "<\uff5cend\u2581of\u2581sentence\uff5c>"
PAD = "<\uff5c\u2581pad\u2581\uff5c>"
IMAGE_START = "<begin_of_image>"
IMAGE_END = "<end_of_image>"
IMAGE = "<image_placeholder>"
USER = "<|User|>"
ASSISTANT = "<|Assistant|>"
REQUIRED = (BOS, EOS, PAD, IMAGE_START)
ADDED_IF_MISSING = (IMAGE_END, IMAGE)  # as the original processor does; only IMAGE_END is embedded

SELF_CHECK = "A photo of  a red cube, 一只红色的狐狸。 🦊 ¡Así es!\n\tx = 1"


@dataclass(frozen=True, slots=True, kw_only=True)
class SpecialIds:
    """Ids of the tokens that mean something, which differ from checkpoint to checkpoint."""

    bos: int
    eos: int
    pad: int
    image_start: int
    image_end: int
    image: int


class JanusTokenizer:
    """A byte-level BPE tokenizer whose special tokens cannot be forged by what people write."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        tokenizer.add_special_tokens(
            [
                AddedToken(token, normalized=False)
                for token in ADDED_IF_MISSING
                if tokenizer.token_to_id(token) is None
            ]
        )
        self._check()
        self.special = SpecialIds(
            bos=self._id(BOS),
            eos=self._id(EOS),
            pad=self._id(PAD),
            image_start=self._id(IMAGE_START),
            image_end=self._id(IMAGE_END),
            image=self._id(IMAGE),
        )
        self._added = sorted(
            (token.content for token in tokenizer.get_added_tokens_decoder().values()),
            key=len,
            reverse=True,
        )

    @classmethod
    def open(cls, folder: str | os.PathLike[str]) -> "JanusTokenizer":
        """Reads `tokenizer.json`. Raises `WeightsMissingError` when it is missing or broken."""
        path = Path(folder) / "tokenizer.json"
        if not path.is_file():
            raise WeightsMissingError(
                f"{path} is missing.", "Download the model's tokenizer files as well."
            )
        try:
            return cls(Tokenizer.from_file(str(path)))
        except WeightsMissingError:
            raise
        except Exception as error:  # the library raises bare Exception for a malformed file
            raise WeightsMissingError(
                f"{path} cannot be read: {error}.", "Download it again."
            ) from error

    def __len__(self) -> int:
        return self._tokenizer.get_vocab_size()

    def id_of(self, token: str) -> int | None:
        """Id of a special token, or None where this tokenizer does not have it."""
        return self._tokenizer.token_to_id(token)

    def encode(self, text: str) -> list[int]:
        """Ids of plain text. What looks like a special token in it is spelled out, never obeyed."""
        ids: list[int] = []
        for piece in self._without_specials(text):
            ids += self._tokenizer.encode(piece, add_special_tokens=False).ids
        return ids

    def decode(self, ids: list[int]) -> str:
        return self._tokenizer.decode(ids, skip_special_tokens=True)

    def stream(self) -> "TextStream":
        """A decoder that takes ids one by one."""
        return TextStream(self._tokenizer)

    def to_json(self, *, bos_first: bool = False) -> str:
        """The tokenizer as a `tokenizer.json`, for `bos_first` one that begins every text with BOS.

        Ours never does so by itself; transformers expects its tokenizers to.
        """
        tokenizer = Tokenizer.from_str(self._tokenizer.to_str())
        if bos_first:
            tokenizer.post_processor = TemplateProcessing(
                single=f"{BOS} $A",
                pair=f"{BOS} $A {BOS} $B",
                special_tokens=[(BOS, self.special.bos)],
            )
        return tokenizer.to_str(pretty=True)

    def _without_specials(self, text: str) -> list[str]:
        """The text cut inside every special token that it spells, so that none is recognised."""
        cuts = {0, len(text)}
        for token in self._added:
            place = text.find(token) if token else -1
            while place >= 0:
                cuts.add(place + 1)
                place = text.find(token, place + 1)
        places = sorted(cuts)
        return [text[a:b] for a, b in pairwise(places)]

    def _id(self, token: str) -> int:
        found = self._tokenizer.token_to_id(token)
        assert found is not None  # `_check` has seen it
        return found

    def _check(self) -> None:
        missing = [token for token in REQUIRED if self._tokenizer.token_to_id(token) is None]
        if missing:
            raise WeightsMissingError(
                f"The tokenizer lacks {', '.join(missing)}.",
                "Is it the tokenizer of a Janus model?",
            )
        for token in (*REQUIRED, *ADDED_IF_MISSING):
            if len(self._tokenizer.encode(token, add_special_tokens=False).ids) != 1:
                raise WeightsMissingError(
                    f"The tokenizer splits {token} into several ids.", "Download it again."
                )
        ids = self._tokenizer.encode(SELF_CHECK, add_special_tokens=False).ids
        if self._tokenizer.decode(ids) != SELF_CHECK:
            raise WeightsMissingError(
                "The tokenizer does not give back the text that it was given: "
                f"{self._tokenizer.decode(ids)!r} for {SELF_CHECK!r}.",
                "Use the original tokenizer.json (byte-level BPE) of the model.",
            )


class TextStream:
    """Turns ids into text piece by piece; a character is held back until it is whole."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._stream = DecodeStream(skip_special_tokens=True)

    def add(self, token_id: int) -> str:
        """The text that this id completes, often a word, sometimes nothing."""
        return self._stream.step(self._tokenizer, token_id) or ""
