"""What is said about scenes of the emoji world in Spanish."""

from types import MappingProxyType

from janus.training.emoji.sprites import Noun
from janus.training.emoji.wordings import Determiners, Wordings

_MASCULINE = Determiners(
    the="el",
    the_many="los",
    of_the="del",
    of_the_many="de los",
    how_many="cuántos",
    single="un solo",
    one="uno",
)
_FEMININE = Determiners(
    the="la",
    the_many="las",
    of_the="de la",
    of_the_many="de las",
    how_many="cuántas",
    single="una sola",
    one="una",
)

SPANISH = Wordings(
    language="es",
    numbers=("cero", "uno", "dos", "tres", "cuatro"),
    determiners=MappingProxyType({"un": _MASCULINE, "una": _FEMININE}),
    # As they read beside a masculine singular: "fondo", and every shape.
    colours=MappingProxyType(
        {
            "white": ("blanco",),
            "black": ("negro",),
            "gray": ("gris",),
            "pink": ("rosa", "rosado"),
            "blue": ("azul", "celeste", "azul claro"),
            "green": ("verde", "verde claro"),
            "yellow": ("amarillo", "amarillo claro"),
            "purple": ("morado", "violeta", "lila"),
            "red": ("rojo",),
            "orange": ("naranja", "anaranjado"),
        }
    ),
    shapes=MappingProxyType(
        {
            "heart": Noun("un", "corazón", "corazones"),
            "circle": Noun("un", "círculo", "círculos"),
            "square": Noun("un", "cuadrado", "cuadrados"),
            "book": Noun("un", "libro", "libros"),
        }
    ),
    yes_no=("sí", "no"),
    sides=MappingProxyType(
        {"left of": "izquierda", "right of": "derecha", "above": "arriba", "below": "abajo"}
    ),
    regions=MappingProxyType(
        {
            (0, 0): "arriba a la izquierda",
            (0, 1): "arriba",
            (0, 2): "arriba a la derecha",
            (1, 0): "izquierda",
            (1, 1): "centro",
            (1, 2): "derecha",
            (2, 0): "abajo a la izquierda",
            (2, 1): "abajo",
            (2, 2): "abajo a la derecha",
        }
    ),
    both="{first} y {second}",
    on_background="sobre un fondo {colour}",
    related=MappingProxyType(
        {
            "left of": "{first} a la izquierda de {second}",
            "right of": "{first} a la derecha de {second}",
            "above": "{first} encima de {second}",
            "below": "{first} debajo de {second}",
        }
    ),
    describe=(
        "Describe esta imagen.",
        "Describe la imagen.",
        "Describe el dibujo.",
        "Describe lo que ves.",
        "Descríbelo.",
        "Escribe un pie de foto.",
        "Escribe una descripción de la imagen.",
        "¿Qué hay en la imagen?",
        "¿Qué hay en esta imagen?",
        "¿Qué hay en el dibujo?",
        "¿Qué ves?",
        "¿Qué ves en la imagen?",
        "¿Qué muestra la imagen?",
        "¿Qué se ve aquí?",
        "Dime qué ves.",
        "Por favor, describe la imagen.",
        "Describe",
    ),
    prompt_one=("{x.a}", "{x.a}", "{x.a}", "{x.one}", "{x.single}", "solo {x.a}"),
    prompt_many=("{n} {x.many}", "{n} {x.many}", "{n} {x.many}", "exactamente {n} {x.many}"),
    prompt_a=("{x.a}",),
    prompt_both=(
        "{first} y {second}",
        "{first} y {second}",
        "{first} con {second}",
        "{first}, {second}",
        "{first} junto con {second}",
    ),
    prompt_related=MappingProxyType(
        {
            "left of": (
                "{first} a la izquierda de {second}",
                "{first} al lado izquierdo de {second}",
                "{first} a la izquierda y {second} a la derecha",
            ),
            "right of": (
                "{first} a la derecha de {second}",
                "{first} al lado derecho de {second}",
                "{first} a la derecha y {second} a la izquierda",
            ),
            "above": (
                "{first} encima de {second}",
                "{first} por encima de {second}",
                "{first} arriba y {second} abajo",
            ),
            "below": (
                "{first} debajo de {second}",
                "{first} por debajo de {second}",
                "{first} abajo y {second} arriba",
            ),
        }
    ),
    prompt_background=(
        "{what} sobre un fondo {colour}",
        "{what} sobre un fondo {colour}",
        "{what} sobre fondo {colour}",
        "{what} con un fondo {colour}",
        "{what} con fondo {colour}",
        "{what} en un fondo {colour}",
        "{what} delante de un fondo {colour}",
        "{what}, fondo {colour}",
        "un fondo {colour} con {what}",
    ),
    prompt_background_apart=(
        "El fondo es {colour}",
        "Que el fondo sea {colour}",
        "Usa un fondo {colour}",
    ),
    prompt_frames=(
        "una imagen de {what}",
        "un dibujo de {what}",
        "una imagen que muestre {what}",
        "dibuja {what}",
        "dibújame {what}",
        "haz un dibujo de {what}",
        "por favor, dibuja {what}",
        "dibuja {what}, por favor",
        "¿puedes dibujar {what}?",
        "¿podrías hacer un dibujo de {what}, por favor?",
        "muéstrame {what}",
        "genera una imagen de {what}",
        "crea una imagen con {what}",
        "pinta {what}",
        "quiero {what}",
        "quiero una imagen con {what}",
        "me gustaría ver un dibujo de {what}",
        "necesito una ilustración de {what}",
        "un dibujo sencillo de {what}",
        "hola, ¿puedes hacer una imagen bonita con {what}, por favor?",
    ),
    beside=MappingProxyType(
        {
            "left of": "a la izquierda {x.of_the}",
            "right of": "a la derecha {x.of_the}",
            "above": "encima {x.of_the}",
            "below": "debajo {x.of_the}",
        }
    ),
    what=(
        (
            "¿Qué es esto?",
            "¿Qué es?",
            "¿Qué objeto es?",
            "Nombra el objeto.",
            "¿Qué objeto se ve?",
        ),
        (
            "¿Qué son?",
            "¿Qué son estas cosas?",
            "¿Qué objetos se ven?",
            "¿Qué tipo de objeto se ve?",
        ),
    ),
    what_beside=(
        "¿Qué hay {where}?",
        "¿Qué objeto está {where}?",
        "¿Qué se ve {where}?",
    ),
    what_else=(
        "¿Qué más hay además {of_these}?",
        "¿Qué más ves aparte {of_these}?",
        "¿Qué se ve junto con {these}?",
    ),
    count=(
        "¿{x.how_many} {x.many} hay?",
        "¿{x.how_many} {x.many} ves?",
        "¿{x.how_many} {x.many} se ven?",
        "¿{x.how_many} {x.many} hay en la imagen?",
        "Cuenta {x.the_many}.",
    ),
    total=(
        "¿Cuántos objetos hay?",
        "¿Cuántos objetos hay en total?",
        "¿Cuántos objetos hay en la imagen?",
        "¿Cuántos objetos ves en total?",
    ),
    colour=(
        (
            "¿De qué color es {x.the}?",
            "¿Qué color tiene {x.the}?",
            "¿Cuál es el color {x.of_the}?",
            "Di el color {x.of_the}.",
        ),
        (
            "¿De qué color son {x.the_many}?",
            "¿Qué color tienen {x.the_many}?",
            "¿Cuál es el color {x.of_the_many}?",
            "Di el color {x.of_the_many}.",
        ),
    ),
    background=(
        "¿De qué color es el fondo?",
        "¿Qué color tiene el fondo?",
        "¿Cuál es el color del fondo?",
        "Di el color del fondo.",
    ),
    where=(
        "¿Dónde está {x.the}?",
        "¿De qué lado {y.of_the} está {x.the}?",
        "¿En qué lado {y.of_the} está {x.the}?",
    ),
    where_shown=(
        "¿En qué parte de la imagen está {x.the}?",
        "¿Dónde en la imagen está {x.the}?",
        "¿En qué parte de la imagen ves {x.the}?",
    ),
    is_there=(
        (
            "¿Hay {x.a}?",
            "¿Ves {x.a}?",
            "¿Se ve {x.a}?",
            "¿Hay {x.a} en la imagen?",
        ),
        (
            "¿Hay {x.many}?",
            "¿Ves {x.many}?",
            "¿Hay {x.many} en la imagen?",
        ),
    ),
    is_number=(
        ("¿Hay exactamente {x.a}?", "¿Hay {x.single}?"),
        (
            "¿Hay {n} {x.many}?",
            "¿Ves {n} {x.many}?",
            "¿Hay exactamente {n} {x.many}?",
        ),
    ),
    is_background=(
        "¿Es {colour} el fondo?",
        "¿El fondo es {colour}?",
        "¿Tiene un fondo {colour}?",
    ),
    is_related=("¿Está {x.the} {where}?", "¿Ves {x.the} {where}?"),
    is_colour=("¿Es {colour} {x.the}?", "¿{x.the} es {colour}?"),
    is_more=(
        "¿Hay más {x.many} que {y.many}?",
        "¿Ves más {x.many} que {y.many}?",
    ),
    then_background=(
        "¿Y el fondo?",
        "¿Y de qué color es el fondo?",
        "¿Y el color del fondo?",
    ),
    then_count=("¿{x.how_many} hay?", "¿Y {x.how_many} hay?", "¿Y {x.how_many} son?"),
    then_colour=(
        ("¿Y de qué color es?", "¿De qué color es?", "¿Y qué color tiene?"),
        ("¿Y de qué color son?", "¿De qué color son?", "¿Y qué color tienen?"),
    ),
    then_where=("¿Y dónde está?", "¿Dónde está?", "¿De qué lado?"),
    then_else=("¿Y qué más?", "¿Qué más hay?", "¿Y qué más ves?"),
    then_count_of=("¿Y {y.how_many} {y.many}?", "¿Y {y.many}?", "¿Y {y.the_many}?"),
    then_other=("¿Y {y.the}?",),
)
