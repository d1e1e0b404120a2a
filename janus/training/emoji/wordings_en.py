"""What is said about scenes of the emoji world in English."""

from types import MappingProxyType

from janus.training.emoji.sprites import Noun
from janus.training.emoji.wordings import Determiners, Wordings

_DETERMINERS = Determiners(
    the="the",
    the_many="the",
    of_the="of the",
    of_the_many="of the",
    how_many="how many",
    single="a single",
    one="one",
)

ENGLISH = Wordings(
    language="en",
    numbers=("zero", "one", "two", "three", "four"),
    determiners=MappingProxyType({"a": _DETERMINERS, "an": _DETERMINERS}),
    colours=MappingProxyType(
        {
            "white": ("white",),
            "black": ("black",),
            "gray": ("gray", "grey"),
            "pink": ("pink",),
            "blue": ("blue", "light blue"),
            "green": ("green", "light green"),
            "yellow": ("yellow", "light yellow"),
            "purple": ("purple", "violet"),
            "red": ("red",),
            "orange": ("orange",),
        }
    ),
    shapes=MappingProxyType(
        {
            "heart": Noun("a", "heart", "hearts"),
            "circle": Noun("a", "circle", "circles"),
            "square": Noun("a", "square", "squares"),
            "book": Noun("a", "book", "books"),
        }
    ),
    yes_no=("yes", "no"),
    sides=MappingProxyType(
        {"left of": "left", "right of": "right", "above": "above", "below": "below"}
    ),
    regions=MappingProxyType(
        {
            (0, 0): "top left",
            (0, 1): "top",
            (0, 2): "top right",
            (1, 0): "left",
            (1, 1): "middle",
            (1, 2): "right",
            (2, 0): "bottom left",
            (2, 1): "bottom",
            (2, 2): "bottom right",
        }
    ),
    both="{first} and {second}",
    on_background="on a {colour} background",
    related=MappingProxyType(
        {
            "left of": "{first} to the left of {second}",
            "right of": "{first} to the right of {second}",
            "above": "{first} above {second}",
            "below": "{first} below {second}",
        }
    ),
    describe=(
        "Describe this picture.",
        "Describe the image.",
        "Describe it.",
        "Describe what you see.",
        "Caption it.",
        "Caption this image.",
        "Write a caption for this picture.",
        "What is in the picture?",
        "What is in this image?",
        "What's in the image?",
        "What do you see?",
        "What does the picture show?",
        "What can be seen here?",
        "Tell me what you see.",
        "Please describe this image.",
        "Describe",
        "Caption this",
    ),
    prompt_one=("{x.a}", "{x.a}", "{x.a}", "{x.one}", "one {x.one}", "{x.single}", "just {x.a}"),
    prompt_many=("{n} {x.many}", "{n} {x.many}", "{n} {x.many}", "exactly {n} {x.many}"),
    prompt_a=("{x.a}", "{x.a}", "one {x.one}"),
    prompt_both=(
        "{first} and {second}",
        "{first} and {second}",
        "{first} with {second}",
        "{first}, {second}",
        "{first} together with {second}",
    ),
    prompt_related=MappingProxyType(
        {
            "left of": (
                "{first} to the left of {second}",
                "{first} left of {second}",
                "{first} on the left side of {second}",
                "{first} on the left and {second} on the right",
            ),
            "right of": (
                "{first} to the right of {second}",
                "{first} right of {second}",
                "{first} on the right side of {second}",
                "{first} on the right and {second} on the left",
            ),
            "above": (
                "{first} above {second}",
                "{first} over {second}",
                "{first} at the top and {second} at the bottom",
            ),
            "below": (
                "{first} below {second}",
                "{first} under {second}",
                "{first} at the bottom and {second} at the top",
            ),
        }
    ),
    prompt_background=(
        "{what} on a {colour} background",
        "{what} on a {colour} background",
        "{what} with a {colour} background",
        "{what} in front of a {colour} background",
        "{what} against a {colour} background",
        "{what} on {colour}",
        "{what}, {colour} background",
        "a {colour} background with {what}",
    ),
    prompt_background_apart=(
        "The background is {colour}",
        "Make the background {colour}",
        "Use a {colour} background",
    ),
    prompt_frames=(
        "a picture of {what}",
        "an image of {what}",
        "a drawing of {what}",
        "a picture that shows {what}",
        "draw {what}",
        "draw a picture of {what}",
        "draw me {what}",
        "please draw {what}",
        "draw {what}, please",
        "can you draw {what}?",
        "could you please draw a picture of {what}?",
        "show me {what}",
        "generate an image of {what}",
        "create a picture with {what}",
        "make an image that shows {what}",
        "paint {what}",
        "I want {what}",
        "I would like to see a picture of {what}",
        "I need an illustration of {what}",
        "a simple drawing of {what}",
        "hello, could you make a nice little picture with {what}, please?",
    ),
    beside=MappingProxyType(
        {
            "left of": "to the left {x.of_the}",
            "right of": "to the right {x.of_the}",
            "above": "above {x.the}",
            "below": "below {x.the}",
        }
    ),
    what=(
        (
            "What is this?",
            "What is it?",
            "What object is it?",
            "Name the object.",
            "Which object is shown?",
        ),
        (
            "What are these?",
            "What are they?",
            "Which objects are shown?",
            "What kind of object is shown?",
        ),
    ),
    what_beside=(
        "What is {where}?",
        "Which object is {where}?",
        "What do you see {where}?",
    ),
    what_else=(
        "What else is there besides {these}?",
        "What else do you see besides {these}?",
        "What is shown together with {these}?",
    ),
    count=(
        "How many {x.many} are there?",
        "How many {x.many} do you see?",
        "How many {x.many} are in the picture?",
        "Count {x.the_many}.",
        "What is the number of {x.many}?",
    ),
    total=(
        "How many objects are there?",
        "How many objects are there in all?",
        "How many things are in the picture?",
        "How many things do you see in total?",
    ),
    colour=(
        (
            "What color is {x.the}?",
            "What colour is {x.the}?",
            "Which color is {x.the}?",
            "What color does {x.the} have?",
            "Name the color {x.of_the}.",
        ),
        (
            "What color are {x.the_many}?",
            "What colour are {x.the_many}?",
            "Which color are {x.the_many}?",
            "Name the color {x.of_the_many}.",
        ),
    ),
    background=(
        "What color is the background?",
        "What colour is the background?",
        "Which color is the background?",
        "What is the background color?",
        "Name the background color.",
    ),
    where=(
        "Where is {x.the}?",
        "Where is {x.the}, seen from {y.the}?",
        "On which side {y.of_the} is {x.the}?",
    ),
    where_shown=(
        "Where in the picture is {x.the}?",
        "Where in the image do you see {x.the}?",
        "In which part of the picture is {x.the}?",
    ),
    is_there=(
        (
            "Is there {x.a}?",
            "Do you see {x.a}?",
            "Can you see {x.a}?",
            "Is there {x.a} in the picture?",
        ),
        (
            "Are there any {x.many}?",
            "Do you see any {x.many}?",
            "Are there {x.many} in the picture?",
        ),
    ),
    is_number=(
        ("Is there exactly one {x.one}?", "Is there only one {x.one}?"),
        (
            "Are there {n} {x.many}?",
            "Do you see {n} {x.many}?",
            "Are there exactly {n} {x.many}?",
        ),
    ),
    is_background=(
        "Is the background {colour}?",
        "Does it have a {colour} background?",
        "Is it on a {colour} background?",
    ),
    is_related=("Is {x.the} {where}?", "Do you see {x.the} {where}?"),
    is_colour=("Is {x.the} {colour}?", "Does {x.the} look {colour}?"),
    is_more=(
        "Are there more {x.many} than {y.many}?",
        "Do you see more {x.many} than {y.many}?",
    ),
    then_background=(
        "And the background?",
        "And what color is the background?",
        "What about the background?",
    ),
    then_count=("How many are there?", "And how many are there?", "And how many?"),
    then_colour=(
        ("And what color is it?", "What color is it?", "Which color is it?"),
        ("And what color are they?", "What color are they?", "Which color are they?"),
    ),
    then_where=("And where is it?", "Where is it?", "On which side?"),
    then_else=("And what else?", "What else is there?", "And what else do you see?"),
    then_count_of=("And how many {y.many}?", "And {y.many}?", "What about {y.the_many}?"),
    then_other=("And {y.the}?", "What about {y.the}?"),
)
