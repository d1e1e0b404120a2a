"""Where a text, as token ids, names things of the emoji world.

Enters: the tokenizer and the sprites. Leaves: the places of names, and what each may mean.
"""

from collections.abc import Iterator, Sequence
from itertools import product

from janus.prompts.tokenizer import JanusTokenizer
from janus.training.emoji.phrasing import WORDINGS
from janus.training.emoji.sprites import LANGUAGES, Sprites


class NameFinder:
    """Knows every name of every sprite as ids, in all languages, in singular and plural."""

    def __init__(self, tokenizer: JanusTokenizer, sprites: Sprites) -> None:
        self.meanings: dict[tuple[int, ...], set[int]] = {}
        for language, (index, sprite) in product(LANGUAGES, enumerate(sprites.sprites)):
            nouns = list(sprite.nouns[language])
            if sprite.shape:
                nouns.append(WORDINGS[language].shapes[sprite.shape])
            forms = {form for noun in nouns for form in (noun.singular, noun.plural)}
            for form in forms | {form.lower() for form in forms}:
                ids = tuple(tokenizer.encode(f" {form}"))
                self.meanings.setdefault(ids, set()).add(index)
        self.longest = max(map(len, self.meanings))

    def find(self, ids: Sequence[int]) -> Iterator[tuple[int, set[int]]]:
        """The place of each name's last token, and the sprites that it may mean."""
        place = 0
        while place < len(ids):
            for length in range(min(self.longest, len(ids) - place), 0, -1):
                meaning = self.meanings.get(tuple(ids[place : place + length]))
                if meaning:
                    yield place + length - 1, meaning
                    break
            else:
                length = 1
            place += length
