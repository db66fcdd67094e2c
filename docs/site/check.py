"""The built site: its links and anchors, then each page in a browser, if there is one.

python docs/site/check.py FOLDER
"""

from __future__ import annotations

import sys
from pathlib import Path

import check_browser
import check_links


def main(root: Path) -> int:
    """Check the site in the folder *root*. Returns the exit status."""
    wrong = check_links.check(root)
    count = len(list(root.rglob("*.html")))
    print(f"{count} pages: links, anchors, and that nothing is fetched from elsewhere: {len(wrong)} complaints")
    chromium = check_browser.browser()
    if chromium is None:
        print(f"no browser ({', '.join(check_browser.NAMES)}) was found, nor named by CHROMIUM: the layout was not looked at")
    else:
        views, complaints = check_browser.check(root, chromium)
        print(f"{views} views in {chromium}: overflow, contrast, fetches: {len(complaints)} complaints")
        wrong += complaints
    for line in wrong:
        print(f"  {line}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]).resolve()))
