"""What the model is told of a conversation, and what the page shows of it."""

from webui.conversation import Turn, answered, asked_again, edited, history, messages

CAT, DOG = ("cat.png",), ("dog.png",)


def test_the_model_is_told_the_turns_about_the_same_pictures():
    turns = (Turn(CAT, "what?", "a cat"), Turn(CAT, "sure?", "yes"), Turn(CAT, "where?"))
    assert history(turns) == [("what?", "a cat"), ("sure?", "yes")]


def test_other_pictures_begin_anew():
    turns = (Turn(CAT, "what?", "a cat"), Turn(DOG, "what?", "a dog"), Turn(CAT, "again?"))
    assert history(turns) == []


def test_questions_that_were_stopped_before_an_answer_are_not_told():
    assert history((Turn(CAT, "what?"), Turn(CAT, "where?"))) == []


def test_pictures_are_shown_once_where_they_come_in():
    turns = (Turn(CAT, "what?", "a cat"), Turn(CAT, "sure?", "yes"), Turn(DOG, "and?"))
    shown = messages(turns)
    assert [message["role"] for message in shown] == ["user", "assistant"] * 2 + ["user"]
    assert shown[0]["content"] == [{"path": "cat.png"}, "what?"]
    assert shown[2]["content"] == ["sure?"]
    assert shown[4]["content"] == [{"path": "dog.png"}, "and?"]


def test_an_answer_belongs_to_the_last_turn():
    turns = (Turn(CAT, "what?", "a cat"), Turn(CAT, "sure?"))
    assert answered(turns, "ye") == (turns[0], Turn(CAT, "sure?", "ye"))


def test_a_question_that_is_asked_again_has_no_answer_yet():
    assert asked_again((Turn(CAT, "what?", "a cat"),)) == (Turn(CAT, "what?"),)


def test_an_edited_question_ends_the_turns_whichever_message_it_is():
    turns = (Turn(CAT, "what?"), Turn(CAT, "where?", "here"), Turn(DOG, "and?", "a dog"))
    assert edited(turns, 0, "why?") == (Turn(CAT, "why?"),)
    assert edited(turns, 3, "why?") == (*turns[:2], Turn(DOG, "why?"))
    assert edited(turns, 2, "no question") == edited(turns, 9, "no message") == turns
