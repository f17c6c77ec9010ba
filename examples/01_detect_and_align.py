"""Find the faces of some photographs, and cut out aligned crops.

    python examples/01_detect_and_align.py photo.jpg [more.jpg ...]

Options --detector NAME|FILE.onnx and --out DIR; the default detector is fetched once.
"""

import argparse
from pathlib import Path

from tronie import FaceAnalyzer, TronieError
from tronie.images.io import write_image

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("photos", nargs="+", type=Path)
parser.add_argument("--detector", default="yunet-2023mar")
parser.add_argument("--out", default=Path("crops"), type=Path)
asked = parser.parse_args()

analyzer = FaceAnalyzer(asked.detector, model=None)  # model=None: nothing is embedded
asked.out.mkdir(exist_ok=True)
outcomes = analyzer.aligned(asked.photos, size=112)
for photo, (faces, crops) in zip(asked.photos, outcomes, strict=True):
    if isinstance(faces, TronieError):  # an unreadable photograph does not stop the others
        print(faces)
        continue
    print(f"{photo.name}: {len(faces)} faces")
    for n, (box, score, crop) in enumerate(zip(faces.boxes, faces.scores, crops, strict=True)):
        print(f"  box {box.round().tolist()}, score {score:.2f}")
        write_image(asked.out / f"{photo.stem}_{n}.png", crop)
