"""Tables: Markdown in a notebook, aligned text in a script. `course_utils.plots` re-exports `table`."""

import math

from course_utils.plots.show import escape
from course_utils.system import machine, ranks


def table(rows, columns=None, caption: str = "", digits: int = 3) -> None:
    """Show a table: Markdown in a notebook, aligned text in a script.

    `rows`: a list of lists, or of dicts (then `columns` defaults to the keys of the first); `columns`: the
    headings. Floats get `digits` decimals (very small or large ones scientific notation), whole numbers from
    10,000 on a thousands separator, None and NaN a dash. Columns of numbers are right-aligned. Cells are
    Markdown in notebooks. Raises ValueError for an empty table or a row of the wrong length.
    """
    columns, body = _cells(rows, columns, digits)
    right = [all(_is_number(row[i]) for row, _ in body) for i in range(len(columns))]
    texts = [text for _, text in body]
    if machine.in_notebook():
        from IPython.display import display

        plain = aligned(columns, texts, right)
        markdown = _markdown_table(columns, texts, right)
        if caption:
            markdown += f"\n\n**Table.** *{escape(caption)}*"
        display({"text/markdown": markdown, "text/plain": plain}, raw=True)
    elif ranks.rank() == 0:
        print(aligned(columns, texts, right))
        if caption:
            print(f"[table] {caption}")


def _cells(rows, columns, digits: int):
    """Return the headings and, for each row, its values and their texts."""
    rows = list(rows)
    if not rows:
        raise ValueError("The table has no rows.")
    if isinstance(rows[0], dict):
        columns = list(columns or rows[0])
        rows = [[row.get(name) for name in columns] for row in rows]
    columns = [str(name) for name in columns or []]
    body = []
    for row in rows:
        values = [_plain(value) for value in row]
        if len(values) != len(columns):
            raise ValueError(f"A row has {len(values)} cells but there are {len(columns)} columns: {values}.")
        body.append((values, [format_cell(value, digits) for value in values]))
    return columns, body


def _plain(value):
    """A tensor or NumPy scalar as a Python number; anything else unchanged."""
    return value.item() if getattr(value, "ndim", None) == 0 and hasattr(value, "item") else value


def _is_number(value) -> bool:
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))


def format_cell(value, digits: int = 3) -> str:
    """Return the text of one table cell (see `table`)."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}" if abs(value) >= 10_000 else str(value)
    if not isinstance(value, float):
        return str(value)
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    if value and not 0.5 * 10.0**-digits <= abs(value) < 1e7:
        return f"{value:.{max(1, digits - 1)}e}".replace("-", "−")
    return f"{value:,.{digits}f}".replace("-", "−")


def aligned(columns, texts, right) -> str:
    """Return the table as plain text with aligned columns."""
    widths = [max(len(row[i]) for row in [columns, *texts]) for i in range(len(columns))]

    def line(row):
        return "  ".join(
            c.rjust(w) if r else c.ljust(w) for c, w, r in zip(row, widths, right, strict=True)
        ).rstrip()

    return "\n".join([line(columns), "  ".join("─" * w for w in widths), *map(line, texts)])


def _markdown_table(columns, texts, right) -> str:
    """The same as a Markdown table."""

    def line(row):
        return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", "<br>") for cell in row) + " |"

    rule = "|" + "|".join("---:" if r else ":---" for r in right) + "|"
    return "\n".join([line(columns), rule, *map(line, texts)])
