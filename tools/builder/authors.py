"""Author's cells stay out of the notebook; proof that no cell of the notebook needs a name that only they
bind."""

from tools.builder import names
from tools.builder.lesson import Cell, Finding, Lesson


def check(lesson: Lesson) -> list[Finding]:
    """Return the cells of the notebook that read a name which only an author's cell binds.

    What a cell reads at once must be bound in the notebook up to there, what its functions read later
    anywhere in it.
    """
    everywhere = set().union(*(names.bound(cell.source) for cell in lesson.built))
    so_far: set[str] = set()
    author: dict[str, Cell] = {}
    findings = []
    for cell in lesson.code:
        own = names.bound(cell.source)
        if not cell.built:
            author |= dict.fromkeys(own, cell)
            continue
        missing = (names.read_at_once(cell.source) - so_far - own) & set(author)
        missing |= (names.read_later(cell.source) - everywhere) & set(author)
        for name in sorted(missing):
            what = f"{name!r} is bound only by the author's cell in line {author[name].head}"
            remedy = "bind it in a cell that readers have, or tag this cell author, too"
            findings.append(cell.finding("author", what, remedy, names.row_of(cell.tree, name)))
        so_far |= own
    return findings
