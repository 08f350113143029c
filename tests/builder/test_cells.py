"""What tags and headings become in a notebook: folded figures, slides, folded sections."""

from tests.builder.course import add, built, cell_with, edit, inputs, source
from tools.builder import notebook, stale
from tools.builder.source import read

FOLD = "jp-MarkdownHeadingCollapsed"


def test_a_figure_cell_is_folded_in_jupyterlab_and_a_form_in_colab(places):
    cell = inputs(places).cells[cell_with(inputs(places), "@title Figure: a grey pixel")]
    assert cell.metadata.jupyter.source_hidden is True and cell.metadata.cellView == "form"
    assert cell.metadata.slideshow.slide_type == "slide" and "tags" not in cell.metadata


def test_an_authors_cell_stays_out_of_the_notebook_and_in_the_source(places):
    assert "for_the_card" in source(places).read_text(encoding="utf-8")
    assert not any("for_the_card" in cell.source for cell in inputs(places).cells)


def test_only_tags_that_somebody_reads_reach_the_notebook(places):
    edit(places, "# %%\nfor percent", '# %% tags=["quiet", "slide"]\nfor percent')
    tags = [tag for cell in inputs(places).cells for tag in cell.metadata.get("tags", [])]
    assert sorted(tags) == ["exercise", "find-course", "quiet", "setup", "solution"]


def test_a_deeper_section_is_folded_by_a_heading_in_a_cell_of_its_own(places):
    book = inputs(places)
    top = cell_with(book, "## 3 · A run *(deeper)*")
    assert book.cells[top].source == "## 3 · A run *(deeper)*" and book.cells[top].metadata[FOLD] is True
    assert book.cells[top + 1].source == "What a shipped run is for.\nIt is read, and not made."
    assert book.metadata.colab.collapsed_sections == [book.cells[top].metadata.id]
    assert [FOLD in cell.metadata for cell in book.cells].count(True) == 1
    assert book.cells[cell_with(book, "## 2 · Figures")].source.count("\n") == 2  # a core section stays whole


def test_a_lesson_without_deeper_sections_says_nothing_to_colab(places):
    edit(places, "*(deeper)*", "*(core)*")
    assert "colab" not in inputs(places).metadata


def test_the_head_states_the_minutes_and_waiting_once_it_is_measured(places, executed):
    line = "*Core: 3 min reading · 5 min doing. With the deeper sections: 3 min reading · 5 min doing.*"
    assert inputs(places).cells[0].source.split("\n")[4] == line
    measured = built(executed).cells[0].source.split("\n")[4]
    assert measured == line.replace("5 min doing", "5 min doing · under 1 min waiting")


def test_the_measured_minutes_change_neither_ids_nor_the_verdict_that_all_is_in_step(places, executed):
    book = built(executed)
    assert [cell.id for cell in book.cells] == [cell.id for cell in inputs(places).cells]
    assert not notebook.edited_by_hand(book) and stale.disagreements(executed) == []
    book.cells[0].source = book.cells[0].source.replace("under 1 min", "7 min", 1)
    assert not stale.agrees(read(source(executed)), book, executed)


def test_a_comment_in_an_authors_cell_changes_nothing_in_the_notebook(places):
    before = notebook.dumps(inputs(places))
    edit(places, "for_the_card = ", "# for the card only\nfor_the_card = ")
    assert notebook.dumps(inputs(places)) == before


def test_a_deeper_heading_without_prose_is_one_cell(places):
    add(places, "# %% [markdown]\n# ## 4 · Last *(deeper)*\n\n# %%\nx = 1\n")
    book = inputs(places)
    assert book.cells[-2].metadata[FOLD] is True and book.cells[-1].source == "x = 1"
