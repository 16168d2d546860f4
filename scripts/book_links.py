#!/usr/bin/env python3
"""Checks that each link within a built book leads to a file and to an anchor that are there."""

import html.parser
import pathlib
import sys
import urllib.parse


class Page(html.parser.HTMLParser):
    """The links and the anchors of a page."""

    def __init__(self, path):
        super().__init__()
        self.links, self.anchors = [], {""}
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        for name, value in attrs:
            if name == "id":
                self.anchors.add(value)
            elif name in ("href", "src") and value:
                self.links.append(value)


def main():
    root = pathlib.Path(sys.argv[1]).resolve()
    # One page repeats all others, and one is shown for addresses that are not there.
    skipped = {"print.html", "404.html"}
    paths = [path for path in root.rglob("*.html") if path.name not in skipped]
    pages = {path: Page(path) for path in paths}
    faults, checked = [], 0
    for path, page in pages.items():
        for link in page.links:
            address = urllib.parse.urlsplit(link)
            if address.scheme or address.netloc or address.path == "print.html":
                continue
            checked += 1
            file = (path.parent / urllib.parse.unquote(address.path)).resolve()
            file = path if not address.path else file
            anchor = urllib.parse.unquote(address.fragment)
            if not file.exists() or anchor not in getattr(pages.get(file), "anchors", {anchor}):
                faults.append(f"{path.relative_to(root)}: {link}")
    print(f"{len(pages)} pages, {checked} links")
    if faults or not checked:
        sys.exit("these links lead nowhere:\n" + "\n".join(sorted(set(faults))))


main()
