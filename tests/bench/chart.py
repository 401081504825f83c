"""The table of `make bench` as a picture: bars of what each variant adds, with the interquartile range."""

from html import escape

ROW, BAR, LABELS, WIDTH, TOP = 26, 16, 330, 860, 56


def svg(title, subtitle, rows):
    """An SVG of `rows`: (label, added µs, spread µs, whether it is this filter)."""
    most = max(added + spread / 2 for _, added, spread, _ in rows)
    scale = (WIDTH - LABELS - 90) / most
    height = TOP + ROW * len(rows) + 14
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" font-size="13">',
        f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>',
        f'<text x="14" y="22" font-size="15" font-weight="bold" fill="#1f2328">{escape(title)}</text>',
        f'<text x="14" y="41" fill="#59636e">{escape(subtitle)}</text>',
    ]
    for number, (label, added, spread, is_ours) in enumerate(rows):
        y = TOP + ROW * number
        end = LABELS + max(added, 0) * scale
        low, high = (LABELS + max(at, 0) * scale for at in (added - spread / 2, added + spread / 2))
        middle = y + BAR / 2
        lines += [
            f'<text x="{LABELS - 8}" y="{middle + 4.5}" text-anchor="end" fill="#1f2328">{escape(label)}</text>',
            f'<rect x="{LABELS}" y="{y}" width="{end - LABELS:.1f}" height="{BAR}" fill="{"#0969da" if is_ours else "#afb8c1"}"/>',
            f'<path d="M{low:.1f} {middle}H{high:.1f}M{low:.1f} {middle - 4}v8M{high:.1f} {middle - 4}v8" stroke="#1f2328"/>',
            f'<text x="{max(end, high) + 7:.1f}" y="{middle + 4.5}" fill="#1f2328">{added:.1f}</text>',
        ]
    return "\n".join([*lines, "</svg>", ""])
