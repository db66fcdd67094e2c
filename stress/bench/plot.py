"""The figure: what a call costs, candidate by candidate, as SVG, on its own paper, dark or light as the reader has it."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from .model import AGAIN, Result

SHOWN = ("syncify", "syncify-stream", "asyncify", "asyncify-200", "asyncify-stream")
ROW, LABELS, BARS, FIGURES, GAP, MARGIN = 19, 270, 380, 90, 34, 8
WIDTH = LABELS + BARS + FIGURES
STYLE = """
text { font: 12px system-ui, sans-serif; fill: #333 } .head { font-weight: 600 } .figure { fill: #666 }
.ours { fill: #2f6f4f } .peer { fill: #b9c2cc } .floor { fill: #e3d9b8 } .paper { fill: #fff }
@media (prefers-color-scheme: dark) {
  text { fill: #ddd } .figure { fill: #aaa } .ours { fill: #58b088 } .peer { fill: #5a6570 } .floor { fill: #6d6547 }
  .paper { fill: #1a1c1e }
}
"""


def figure(results: Sequence[Result]) -> str:
    """One block of bars for each of the results to be shown, the cheapest first."""
    found = {result.workload: result for result in results if result.setting == "pinned"}
    parts: list[str] = []
    top = 0
    for name in SHOWN:
        if name in found:
            block, top = _block(found[name], top)
            parts += block
    width, height = WIDTH + 2 * MARGIN, top + MARGIN
    size = f'viewBox="{-MARGIN} 0 {width} {height}" width="{width}" height="{height}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img">'
    title = "<title>Cost of a call, in microseconds of CPU time</title>"
    paper = f'<rect class="paper" x="{-MARGIN}" width="{width}" height="{height}"/>'
    return "\n".join([head, title, f"<style>{STYLE}</style>", paper, *parts, "</svg>\n"])


def _block(result: Result, top: int) -> tuple[list[str], int]:
    costs = {name: result.cost(name) for name in result.per_call if not name.endswith(AGAIN)}
    most = max(cost.high for cost in costs.values())
    top += GAP
    parts = [f'<text class="head" x="0" y="{top - 10}">{escape(result.workload)}: {escape(result.says)}</text>']
    for name in sorted(costs, key=lambda name: costs[name].median):
        cost = costs[name]
        width = BARS * cost.median / most
        low, high = (LABELS + BARS * edge / most for edge in (cost.low, cost.high))
        parts += [
            f'<text x="{LABELS - 8}" y="{top + 13}" text-anchor="end">{escape(name)}</text>',
            f'<rect class="{result.roles[name]}" x="{LABELS}" y="{top + 2}" width="{width:.1f}" height="{ROW - 4}" rx="2"/>',
            f'<path d="M{low:.1f} {top + ROW / 2:.1f}H{high:.1f}" stroke="#888" stroke-width="1.5"/>',
            f'<text class="figure" x="{max(LABELS + width, high) + 6:.1f}" y="{top + 13}">{cost.median * 1e6:.1f}</text>',
        ]
        top += ROW
    return parts, top
