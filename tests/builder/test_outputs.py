"""What the builder makes of outputs, and what it would not let into a notebook."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

from tools.builder import outputs


def stream(text, name="stdout"):
    return {"output_type": "stream", "name": name, "text": text}


def test_streams_are_merged_and_read_as_a_terminal_shows_them():
    cleaned = outputs.clean([stream("a 1"), stream("\ra 2"), stream("!", "stderr"), stream("ok\n")])
    assert [(o["name"], o["text"]) for o in cleaned] == [
        ("stdout", "a 2"),
        ("stderr", "!"),
        ("stdout", "ok\n"),
    ]


def book_with(output, metadata=None, source="![x](attachment:x.png)"):
    cells = [
        {"cell_type": "markdown", "source": source, "metadata": {}},
        {
            "cell_type": "code",
            "source": "",
            "metadata": metadata or {},
            "execution_count": 1,
            "outputs": [output],
        },
    ]
    return {"cells": cells, "metadata": {}}


def data(**mimes):
    return {
        "output_type": "display_data",
        "metadata": {},
        "data": {k.replace("_", "/"): v for k, v in mimes.items()},
    }


@pytest.mark.parametrize(
    ("output", "message"),
    [
        (data(text_html='<img src="https://example.org/a.png">'), "external"),
        (data(text_html="<script src='//example.org/a.js'></script>"), "external"),
        (data(text_markdown="![a](http://example.org/a.png)"), "external"),
        (data(text_html="<style>@import 'x'</style>"), "external"),
        (stream("warning in /tmp/ipykernel_1/2.py"), "path of this machine"),
        (data(text_plain="<matplotlib.lines.Line2D at 0x7f0000000000>"), "address"),
        ({**data(text_plain="x"), "data": {outputs.WIDGET_VIEW: {}}}, "widget view"),
        ({**data(text_plain="History(9 steps)"), "output_type": "execute_result"}, "bare value"),
    ],
)
def test_what_would_look_broken_elsewhere_is_found(output, message):
    assert message in " ".join(outputs.reader_problems(book_with(output)))


def test_what_is_fine_elsewhere_is_not_reported():
    fine = book_with(
        data(text_html='<a href="https://example.org">a</a><img src="data:image/png;base64,aaaa">'),
        source="[a link](https://example.org) and ![a picture](attachment:a.png)",
    )
    assert outputs.reader_problems(fine) == []


def test_sizes_counts_errors_and_captions_are_checked():
    large = book_with(stream("x" * 401_000))
    assert "401 KB of outputs" in outputs.size_problems(large, "")[0]
    assert "over 1500 KB" in outputs.size_problems(large, "x" * 1_500_001)[1]
    twice = book_with({"output_type": "error"})
    twice["cells"][1]["execution_count"] = 2
    assert len(outputs.execution_problems(twice)) == 2
    picture = data(image_png="aaaa")
    assert outputs.caption_problems(book_with(picture))
    captioned = book_with({**picture, "metadata": {"image/png": {"alt": "A line."}}})
    captioned["cells"][1]["outputs"].append(data(text_markdown="**Figure.** *A line.*"))
    assert outputs.caption_problems(captioned) == []


@pytest.mark.parametrize(
    ("row", "column", "edge"), [(0, 9, "upper"), (19, 9, "lower"), (9, 0, "left"), (9, 29, "right")]
)
def test_a_picture_with_ink_on_its_edge_is_found(row, column, edge):
    def book(pixels):
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, format="PNG")
        return book_with(data(image_png=base64.b64encode(buffer.getvalue()).decode()))

    pixels = np.full((20, 30), 255, np.uint8)
    pixels[1:-1, 1:-1] = 0
    assert outputs.edge_problems(book(pixels)) == []
    assert outputs.edge_problems(book(0 * pixels)) == []  # no text, but an image that is dark
    pixels[row, column] = 0
    assert outputs.edge_problems(book(pixels)) == [f"cell 1: a picture is cut off at its {edge} edge."]


def test_the_curves_of_a_training_call_are_captioned_by_its_line_of_text():
    curves = {**data(image_png="aaaa"), "metadata": {"image/png": {"alt": "Logged values of vae: 10 steps"}}}
    trained = book_with(curves)
    assert outputs.caption_problems(trained)
    trained["cells"][1]["outputs"].append(stream("vae: 10 steps"))
    assert outputs.caption_problems(trained) == []


def png(level):
    """A small grey ramp as base64 text, packed at zlib's `level`."""
    buffer = io.BytesIO()
    ramp = np.tile(np.arange(64, dtype=np.uint8), (64, 1))
    Image.fromarray(ramp).save(buffer, format="PNG", compress_level=level, dpi=(150, 150))
    return base64.b64encode(buffer.getvalue()).decode("ascii")


PNG = outputs.clean([data(image_png=png(1))])[0]["data"]["image/png"]


def test_pictures_are_packed_small_and_stay_the_same():
    assert len(PNG) <= len(png(9)) < len(png(0))
    before, after = (
        Image.open(io.BytesIO(base64.b64decode(text))).convert("RGB").tobytes() for text in (png(0), PNG)
    )
    assert before == after
    assert outputs.clean([data(image_png=png(0))])[0]["data"]["image/png"] == PNG


def test_the_curve_of_a_lonely_loss_is_dropped_and_its_line_stays():
    lonely = data(
        image_png=PNG, text_plain="Logged values of ae: 1,000 steps · 3.4 s, 289 steps/s · loss 36.14"
    )
    pair = data(
        image_png=PNG, text_plain="Logged values of vae: 9 steps · 3 s, 3 steps/s · loss 105 · kl 20.1"
    )
    line = stream("ae: 1,000 steps · 3.4 s, 289 steps/s · loss 36.14")
    assert outputs.clean([lonely, line]) == [line]
    assert outputs.clean([pair, line]) == [pair, line]
    assert outputs.clean([pair, line], quiet=True) == [line]
