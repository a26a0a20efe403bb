from __future__ import annotations

from pathlib import Path

from PIL import Image

from scripts.benchmarking.sections.agreement import Answer, View, compare, make_views

INDEX = """file,format,derived_from,aiy_label
birds/a.jpg,JPEG,,Pica pica
b.jpg,JPEG,,background
c.jpg,JPEG,birds/a.jpg,Pica pica
d.gif,GIF,,Pica pica
"""


def view(name: str, label: str = "") -> View:
    return View(path=Path(name), label=label)


def answer(label: str, margin: float = 9.0) -> Answer:
    return Answer(label=label, margin=margin)


def test_only_clear_answers_must_agree() -> None:
    views = [view("a", "Pica pica"), view("b", "Pica nuttalli"), view("c")]
    reference = [answer("Pica pica"), answer("Pica pica", 4.0), answer("Corvus corax", 6.0)]
    found = [answer("Pica pica"), answer("Pica nuttalli"), answer("Corvus corone")]
    assert compare(views, reference, found) == {
        "same": 1,
        "clear_same": 1,
        "right": 2,
        "other": "c: Corvus corone instead of Corvus corax (6.0 quanta)",
    }


def test_originals_come_with_three_views_of_each(tmp_path: Path) -> None:
    (tmp_path / "source" / "birds").mkdir(parents=True)
    (tmp_path / "source" / "index.csv").write_text(INDEX)
    for name in ("birds/a.jpg", "b.jpg"):
        Image.new("RGB", (40, 20), "red").save(tmp_path / "source" / name)
    views = make_views(tmp_path / "source", tmp_path / "views")
    assert [found.label for found in views] == ["Pica pica", *[""] * 7]
    sizes = []
    for found in views[:4]:
        with Image.open(found.path) as picture:
            sizes.append(picture.size)
    assert sizes == [(40, 20), (40, 20), (30, 15), (30, 15)]
