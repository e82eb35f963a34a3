"""docs/explanation/rooms.svg: the rooms of the library and the arrows between them, counted in its imports.

    python Testing/Pictures/draw_rooms.py

A room is a box as wide as it has lines; an arrow goes from a room to one that it imports, as thick as the imports are many.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import grimp

ROOT = Path(__file__).resolve().parents[2]
LIBRARY = ROOT / "SIFASegmentation" / "SIFALib"
PICTURE = ROOT / "docs" / "explanation" / "rooms.svg"
FLOORS = (
    ("cli",), ("runs",), ("adaptation", "inference"), ("datasets",), ("phantom",), ("networks",), ("imaging",),
    ("models",), ("support",),
)  # fmt: skip
WIDTH, FLOOR, HEIGHT = 900, 84, 44  # pixels: of the picture, from floor to floor, of a box


def main() -> None:
    arrows = counted()
    places = placed({room: lines_of(room) for floor in FLOORS for room in floor})
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {FLOOR * len(FLOORS)}" ']
    parts[0] += 'font-family="sans-serif" font-size="14">'
    for (above, below), count in sorted(arrows.items()):
        parts.append(arrow(places[above], places[below], count))
    parts += [box(room, lines_of(room), place) for room, place in places.items()]
    PICTURE.write_text("\n".join([*parts, "</svg>"]) + "\n", encoding="utf-8")


def counted() -> Counter[tuple[str, str]]:
    """How many modules of one room import one of another."""
    graph = grimp.build_graph("SIFALib", cache_dir=None)
    rooms = {room for floor in FLOORS for room in floor}
    found: Counter[tuple[str, str]] = Counter()
    for module in graph.modules:
        for imported in graph.find_modules_directly_imported_by(module):
            pair = (module.split(".")[1:2] or [""])[0], (imported.split(".")[1:2] or [""])[0]
            if pair[0] != pair[1] and rooms.issuperset(pair):
                found[pair] += 1
    return found


def lines_of(room: str) -> int:
    return sum(len(p.read_text(encoding="utf-8").splitlines()) for p in (LIBRARY / room).rglob("*.py"))


def placed(lines: dict[str, int]) -> dict[str, tuple[float, float, float]]:
    """Centre and width of each room's box, in pixels."""
    places = {}
    for number, floor in enumerate(FLOORS):
        for n, room in enumerate(floor):
            x = WIDTH * (n + 1) / (len(floor) + 1)
            places[room] = (
                x + (70 if number % 2 else -70) * (len(floor) == 1),
                FLOOR * number + FLOOR / 2,
                110 + lines[room] / 30,
            )
    return places


def box(room: str, lines: int, place: tuple[float, float, float]) -> str:
    x, y, width = place
    text = f'<text x="{x:.0f}" y="{y + 5:.0f}" text-anchor="middle">{room} <tspan fill="#777">{lines}</tspan></text>'
    return (
        f'<rect x="{x - width / 2:.0f}" y="{y - HEIGHT / 2:.0f}" width="{width:.0f}" height="{HEIGHT}" rx="6" '
        f'fill="#fdf6ec" stroke="#a04030"/>{text}'
    )


def arrow(above: tuple[float, float, float], below: tuple[float, float, float], count: int) -> str:
    """A curve from the lower edge of one box to the upper edge of the other, past the floors between."""
    (x0, y0, w0), (x1, y1, w1) = above, below
    floors = round((y1 - y0) / FLOOR)
    side = (-1) ** floors * (60 * (floors - 1))
    start, end = x0 + side / WIDTH * w0 / 2, x1 + side / WIDTH * w1 / 2
    middle = (start + end) / 2 + side
    return (
        f'<path d="M {start:.0f} {y0 + HEIGHT / 2:.0f} Q {middle:.0f} {(y0 + y1) / 2:.0f} {end:.0f} {y1 - HEIGHT / 2:.0f}" '
        f'fill="none" stroke="#4a6fa5" stroke-opacity="0.45" stroke-width="{0.6 + count / 12:.1f}"/>'
    )


if __name__ == "__main__":
    main()
