import json
from pathlib import Path

from PIL import Image

SHORT = ("--max-tokens", 4)


def test_each_turn_knows_those_before(run, janus, picture, other_picture):
    lines = f"What?\n\nAnd?\n/picture {other_picture}\nWhich?\n"
    result = run("chat", picture, *SHORT, input=lines)
    assert (result.code, result.stderr) == (0, "")
    first = janus.ask(picture, "What?", max_tokens=4)
    history = [
        {"role": "user", "content": "What?", "pictures": [picture]},
        {"role": "assistant", "content": first},
    ]
    second = janus.ask(None, "And?", history=history, max_tokens=4)
    history += [
        {"role": "user", "content": "And?"},
        {"role": "assistant", "content": second},
    ]
    third = janus.ask(other_picture, "Which?", history=history, max_tokens=4)
    assert result.lines == [first, second, third]


def test_a_first_picture_in_a_later_turn(run, janus, picture):
    lines = f"Hello!\n/picture {picture}\nWhat?\nAnd?\n"
    result = run("chat", *SHORT, input=lines)
    turns, answers = [("Hello!", None), ("What?", picture), ("And?", picture)], []
    for question, shown in turns:
        history = [(asked, answer) for (asked, _), answer in zip(turns, answers, strict=False)]
        answers.append(janus.ask(shown, question, history=history, max_tokens=4))
    assert result.lines == answers


def test_reset_forgets(run, picture):
    once = run("chat", *SHORT, input="What?\n").stdout
    shown = run("chat", picture, *SHORT, input="Hm?\n/reset\nWhat?\n/quit\nWhat?\n")
    assert shown.lines[1:] == once.splitlines()


def test_drawing(run):
    result = run("chat", input="/draw a cat\n")
    assert result.code == 0
    [name] = result.lines
    assert name.endswith("_a-cat.png")
    Image.open(Path(name)).load()


def test_mistakes_do_not_end_it(run, picture):
    lines = f"/picture gone.png\n/dance\n/draw\n/picture {picture}\nWhat?\n"
    result = run("chat", *SHORT, input=lines)
    assert result.code == 5
    assert len(result.lines) == 1
    assert "gone.png" in result.stderr
    assert "There is no command /dance" in result.stderr
    assert "prompt is empty" in result.stderr


def test_json(run):
    [answer] = run("chat", *SHORT, "--json", input="What?").lines
    assert json.loads(answer)["question"] == "What?"
