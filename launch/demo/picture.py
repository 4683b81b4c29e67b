"""The loss curve as an SVG file."""

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 720, 360, 56, 64, 24, 44
CURVES = (("loss", "#777777", "training, nats per token"), ("en", "#1f77b4", "held out, English, bits per byte"),
	  ("zh", "#d62728", "held out, Chinese, bits per byte"))


def draw(path, rows):
	rows = [r for r in rows if r["minutes"] > 0] or rows
	last = max(r["tokens"] for r in rows) or 1
	top = max(max(r[k] for k, _, _ in CURVES) for r in rows) * 1.05
	x = lambda r: LEFT + (WIDTH - LEFT - RIGHT) * r["tokens"] / last
	y = lambda v: HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * v / top
	out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" font-family="sans-serif" font-size="12">',
	       f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>']
	for v in range(int(top) + 1):
		out.append(f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(v):.1f}" y2="{y(v):.1f}" stroke="#dddddd"/>'
			   f'<text x="{LEFT - 8}" y="{y(v) + 4:.1f}" text-anchor="end">{v}</text>')
	for i in range(5):
		at = LEFT + (WIDTH - LEFT - RIGHT) * i / 4
		out.append(f'<text x="{at:.1f}" y="{HEIGHT - 24}" text-anchor="middle">{last * i / 4e6:.1f}</text>')
	out.append(f'<text x="{(WIDTH + LEFT - RIGHT) / 2}" y="{HEIGHT - 6}" text-anchor="middle">million tokens</text>')
	for i, (key, colour, name) in enumerate(CURVES):
		points = " ".join(f"{x(r):.1f},{y(r[key]):.1f}" for r in rows)
		out.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.8"/>'
			   f'<text x="{WIDTH - RIGHT + 4}" y="{y(rows[-1][key]) + 4:.1f}" fill="{colour}">{rows[-1][key]:.2f}</text>'
			   f'<text x="{WIDTH - RIGHT - 230}" y="{TOP + 16 * i + 4}" fill="{colour}">{name}</text>')
	with open(path, "w") as f:
		f.write("\n".join(out + ["</svg>", ""]))
