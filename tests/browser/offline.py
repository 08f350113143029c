"""Pages of one file in a Chromium whose network is off, and what is wrong with them as a reader would see it."""

from pathlib import Path

from tests.browser.lab import chromium

WINDOW = {"width": 1280, "height": 720}
RAW = r"""root => {
    const found = [], block = 'p, li, td, th, h1, h2, h3, figcaption, summary, aside, div';
    const walk = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
    for (let node = walk.nextNode(); node; node = walk.nextNode()) {
        if (node.parentElement.closest('code, pre, script, style, annotation')) continue;
        if (/\\[a-zA-Z]{2,}|\\[()[\]]|\$\$|\$[^$]*\S\$/.test(node.data)) found.push(node.data.trim().slice(0, 80));
    }
    root.querySelectorAll('.katex-error').forEach(e => found.push(e.textContent.slice(0, 80)));
    return found.map(text => 'raw TeX: ' + text)}"""
WIDE = r"""root => {
    const found = [], start = e => (e.textContent || e.alt || '').replace(/\s+/g, ' ').slice(0, 80);
    const edge = document.documentElement.clientWidth;
    if (document.documentElement.scrollWidth > edge)
        found.push(`the page is ${document.documentElement.scrollWidth} px wide, the window ${edge}`);
    for (const box of root.querySelectorAll('*')) {
        if (!box.clientWidth || box.closest('.katex-mathml') || !box.checkVisibility()) continue;
        if (box.closest('.katex') && !box.matches('.katex-html > .katex-base, .katex-html > .katex-tag')) continue;
        const scrolls = getComputedStyle(box).overflowX != 'visible' && box.scrollWidth > box.clientWidth + 1;
        if (scrolls || box.getBoundingClientRect().right > edge + 1) found.push('too wide: ' + start(box));
    }
    for (const line of root.querySelectorAll('.katex-display')) {
        const tag = line.querySelector('.katex-html > .katex-tag');
        const last = [...line.querySelectorAll('.katex-html > .katex-base')].pop();
        if (!line.checkVisibility() || !last) continue;
        const ends = last.getBoundingClientRect().right;
        const limit = tag ? tag.getBoundingClientRect().left : line.getBoundingClientRect().right;
        if (ends > limit + 1) found.push('an equation is too wide: ' + start(line.querySelector('annotation')));
    }
    return found}"""
MISSING = r"""async root => {
    await document.fonts.ready;
    const found = [...root.querySelectorAll('img')].filter(e => !e.complete || !e.naturalWidth || !e.alt)
        .map(e => 'a figure is missing, or its text: ' + (e.alt || e.src.slice(0, 60)));
    return found.concat([...document.fonts].filter(f => f.status == 'error').map(f => 'no font: ' + f.family))}"""
SLIDE = r"""least => {
    const slide = Reveal.getCurrentSlide(), found = [], title = slide.querySelector('h1, h2').innerText;
    const start = e => (e.textContent || e.alt || '').trim().replace(/\s+/g, ' ').slice(0, 60);
    const [w, h] = [innerWidth, innerHeight];
    if (slide.scrollHeight > slide.clientHeight + 1) found.push(`${slide.scrollHeight} px in ${slide.clientHeight}`);
    for (const box of slide.querySelectorAll('*')) {
        if (box.closest('.katex-mathml, aside.notes') || !box.checkVisibility()) continue;
        const b = box.getBoundingClientRect();
        if (!b.width || !b.height || (box.closest('.katex') && !box.matches('.katex-html > .katex-base'))) continue;
        if (b.left < -1 || b.right > w + 1 || b.top < -1 || b.bottom > h + 1) found.push('outside: ' + start(box));
        const cut = box.scrollHeight > box.clientHeight + 1 || box.scrollWidth > box.clientWidth + 1;
        if (box.matches('.content') && cut)
            found.push(`${box.scrollWidth} × ${box.scrollHeight} px in ${box.clientWidth} × ${box.clientHeight}`);
        if (box.matches('img') && (b.width < 300 || b.height < 60)) found.push(`small: ${b.width} × ${b.height}`);
        const own = [...box.childNodes].some(n => n.nodeType == 3 && n.data.trim());
        const size = parseFloat(getComputedStyle(box).fontSize) * Reveal.getScale();
        if (own && size < least && !box.matches('.where')) found.push(`${size.toFixed(1)} px: ` + start(box));
    }
    if (!slide.querySelector('h1') && !slide.querySelector('.content').innerText.trim()
        && !slide.querySelector('.content img')) found.push('empty');
    return [...new Set(found)].map(what => `slide “${title}”: ${what}`)}"""


class Offline:
    """A Chromium without a network: `with Offline() as browser: assert browser.faults(path) == []`."""

    def __enter__(self):
        from playwright.sync_api import sync_playwright

        self.playwright = sync_playwright().start()
        words = ["--no-sandbox", "--disable-gpu"]
        self.browser = self.playwright.chromium.launch(executable_path=chromium(), args=words)
        self.context = self.browser.new_context(viewport=WINDOW, offline=True)
        self.page = self.context.new_page()
        self.said = []
        self.page.on("request", self._note_request)
        self.page.on("pageerror", lambda error: self.said.append(f"an error in a script: {error}"))
        self.page.on("console", self._note_console)
        return self

    def __exit__(self, *_):
        self.browser.close()
        self.playwright.stop()

    def _note_request(self, request) -> None:
        if request.url.partition(":")[0] not in ("file", "data", "about", "blob"):
            self.said.append(f"asks the network for {request.url}")
        elif request.url.startswith("file") and not request.is_navigation_request():
            self.said.append(f"asks for another file: {request.url.rpartition('/')[2]}")

    def _note_console(self, message) -> None:
        if message.type in ("error", "warning"):
            self.said.append(f"the console says: {message.text}")

    def open(self, path: Path, mark: str = "") -> None:
        """Open a file and wait until it is laid out; `mark` comes after the # of its address."""
        self.said.clear()
        self.page.goto(f"{Path(path).resolve().as_uri()}{mark}", wait_until="load")
        self.page.evaluate("document.fonts.ready")

    def faults(self, path: Path) -> list[str]:
        """Return what is wrong with a page, folded parts included: what it asks for, raw TeX, missing figures,
        anything wider than the window of 1280 × 720."""
        self.open(path)
        self.page.evaluate("document.querySelectorAll('details').forEach(folded => { folded.open = true; })")
        root = self.page.query_selector("body")
        return self.said + [fault for look in (RAW, WIDE, MISSING) for fault in root.evaluate(look)]

    def slides(self, path: Path, least: float = 14.0):
        """Open a deck and go through it as a lecturer does, with the key for the next slide; yield after each
        step the faults of the slide in front.

        A fault is what `faults` finds, content outside the slide, text below `least` px, a picture too small to
        be seen, an empty slide, or a deck that does not go on.
        """
        self.open(path)
        self.page.wait_for_function("Reveal.isReady()")
        count = self.page.evaluate("Reveal.getTotalSlides()")
        for index in range(count):
            while self.page.evaluate("Reveal.availableFragments().next"):  # what appears with the next key
                self.page.keyboard.press("Space")
            here = self.page.evaluate("Reveal.getSlidePastCount()")
            faults = [] if here == index else [f"slide {here + 1} is in front instead of {index + 1}"]
            slide = self.page.evaluate_handle("Reveal.getCurrentSlide()").as_element()
            looks = [fault for look in (RAW, WIDE, MISSING) for fault in slide.evaluate(look)]
            yield faults + self.page.evaluate(SLIDE, least) + looks + self.said
            self.said.clear()
            self.page.keyboard.press("Space")
        if self.page.evaluate("Reveal.getSlidePastCount()") != count - 1:
            yield ["the deck does not end with its last slide"]
