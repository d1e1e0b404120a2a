"""An answer as it is shown."""

from itertools import pairwise
from pathlib import Path

import pytest
from PIL import Image

from janus.errors import ContextError, PictureError
from janus.pipeline import Janus
from webui.answering import answers
from webui.conversation import Turn


@pytest.fixture
def picture(tmp_path: Path) -> str:
    Image.new("RGB", (90, 60), "teal").save(tmp_path / "teal.png")
    return str(tmp_path / "teal.png")


def test_an_answer_grows_to_what_the_model_says(tiny: Janus, picture: str):
    shown = list(answers(tiny, (Turn((picture,), "what?"),)))
    assert all(later.startswith(earlier) for earlier, later in pairwise(shown))
    assert shown[-1] == tiny.ask(picture, "what?", max_tokens=tiny.template.context // 2)


def test_a_long_conversation_forgets_its_beginning(tiny: Janus, picture: str):
    turn = Turn((picture,), "how many dogs are there?", "there are three dogs on a table")
    assert next(answers(tiny, (turn,) * 100))


def test_a_question_that_is_too_long_is_refused_at_once(tiny: Janus):
    with pytest.raises(ContextError):
        answers(tiny, (Turn((), "why? " * 1000),))


def test_a_bad_picture_is_named_but_not_where_it_lies(tiny: Janus, tmp_path: Path):
    (tmp_path / "bad.png").write_text("no picture")
    with pytest.raises(PictureError, match=r"bad\.png") as caught:
        answers(tiny, (Turn((str(tmp_path / "bad.png"),), "what?"),))
    assert str(tmp_path) not in str(caught.value)
