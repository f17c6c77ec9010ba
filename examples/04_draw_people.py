"""Draw people who do not exist, so that training can be tried without anybody's photograph.

    python examples/04_draw_people.py faces/

Twelve aligned crops NAME/NAME_0001.png of forty people, and lists of people and of pairs as LFW's
View 1 has them: the first ten people, Toy_000 to Toy_009, are to test with, the others to train on.
"""

import argparse
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("faces", type=Path)
folder = parser.parse_args().faces
for n, name in enumerate(names := [f"Toy_{n:03d}" for n in range(40)]):
    skin, hair, lips, iris = np.random.default_rng([1, n]).integers(60, 200, (4, 3)).tolist()
    wide, tall, fringe, apart, mouth = np.random.default_rng([2, n]).uniform(-5, 5, 5)
    (folder / name).mkdir(parents=True, exist_ok=True)
    for shot in range(1, 13):  # above what stays with a person, below what each shot has anew
        now = np.random.default_rng([3, n, shot])
        (x, y), gape, light = now.normal((56, 52), 1.5), now.uniform(1, 8), now.uniform(0.6, 1.4, 3)
        picture = Image.new("RGB", (112, 112), (*now.integers(256, size=3).tolist(),))
        draw, head = ImageDraw.Draw(picture), (x - 40 - wide, y - 44, x + 40 + wide, y + 56 + tall)
        draw.ellipse(head, fill=(*skin,))
        draw.chord(head, 215 + 4 * fringe, 325 - 4 * fringe, fill=(*hair,))
        for eye in (x - 18 - apart, x + 18 + apart):
            draw.ellipse((eye - 5, y - 6, eye + 5, y + 4), (*iris,), outline="white", width=2)
        draw.ellipse((x - 15 - mouth, y + 40 - gape, x + 15 + mouth, y + 40 + gape), (*lips,))
        shown = (np.asarray(picture) * light + now.normal(0, 12, (112, 112, 3))).clip(0, 255)
        Image.fromarray(shown.astype(np.uint8)).save(folder / name / f"{name}_{shot:04d}.png")
for part, who in (("Test", names[:10]), ("Train", names[10:])):
    same = [f"{a}\t{k}\t{k + 1}" for a in who for k in range(1, 12)]
    others = [f"{who[i - 1]}\t{k}\t{who[i]}\t{k}" for i in range(len(who)) for k in range(1, 12)]
    for kind, lines in (("people", [f"{a}\t12" for a in who]), ("pairs", [*same, *others])):
        text = "\n".join([str(len(who if kind == "people" else same)), *lines, ""])
        (folder / f"{kind}Dev{part}.txt").write_text(text)
print(f"{folder}: {len(names)} people, twelve crops of each, and lists of people and of pairs")
