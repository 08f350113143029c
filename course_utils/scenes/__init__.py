"""A world by code, in which every answer can be graded: scenes, their sentences, their pictures.

from course_utils import scenes

scene = scenes.parse("a big red 3 above a small blue star")
picture = scenes.render([scene], scenes.Glyphs(cu.mnist().train))  # uint8 (1, 3, 32, 32)
"""

from course_utils.scenes.draw import EXTENT, GAP, OFFSET, RGB, SIDE, Glyphs, cut_out, place, render
from course_utils.scenes.grade import CROP, FIELDS, crops, grade, labelled_crops, parts, read_scenes
from course_utils.scenes.kinds import Kinds, Reader
from course_utils.scenes.scene import (
    COLOURS,
    KINDS,
    PAIRS,
    RELATIONS,
    SHAPES,
    SINGLES,
    SIZES,
    Scene,
    Thing,
    draw_scenes,
    entropy,
    held_out,
)
from course_utils.scenes.show import draw_told, folded
from course_utils.scenes.words import (
    END,
    HELD_PATTERN,
    LENGTH,
    PAD,
    PATTERNS,
    START,
    TURNED,
    WORDS,
    decode,
    encode,
    parse,
    parse_all,
    say,
)

__all__ = [
    "COLOURS",
    "CROP",
    "END",
    "EXTENT",
    "FIELDS",
    "GAP",
    "HELD_PATTERN",
    "KINDS",
    "LENGTH",
    "OFFSET",
    "PAD",
    "PAIRS",
    "PATTERNS",
    "RELATIONS",
    "RGB",
    "SHAPES",
    "SIDE",
    "SINGLES",
    "SIZES",
    "START",
    "TURNED",
    "WORDS",
    "Glyphs",
    "Kinds",
    "Reader",
    "Scene",
    "Thing",
    "crops",
    "cut_out",
    "decode",
    "draw_scenes",
    "draw_told",
    "encode",
    "entropy",
    "folded",
    "grade",
    "held_out",
    "labelled_crops",
    "parse",
    "parse_all",
    "parts",
    "place",
    "read_scenes",
    "render",
    "say",
]
