"""Compare every photograph with every other one, and say what a score means.

    python examples/02_embed_and_compare.py a.jpg b.jpg [more.jpg ...]

Options --detector and --model NAME|FILE.onnx; the default pair is fetched once.
"""

import argparse
from pathlib import Path

from tronie import FaceAnalyzer
from tronie.geometry.hypersphere import cosine_scores, normalize

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("photos", nargs="+", type=Path)
parser.add_argument("--detector", default="yunet-2023mar")
parser.add_argument("--model", default="sface-2021dec")
asked = parser.parse_args()

analyzer = FaceAnalyzer(asked.detector, asked.model, policy="largest")
analyzed = zip(asked.photos, analyzer.analyze_many(asked.photos), strict=True)
found = [(photo, faces) for photo, faces in analyzed if len(faces)]
units = [normalize(faces.embeddings)[0] for _, faces in found]
for n, (photo, _) in enumerate(found):
    for m in range(n):
        score = float(cosine_scores(units[n], units[m])[0, 0])
        line = f"{found[m][0].name}  {photo.name}  {score:.3f}"
        if analyzer.calibration:  # the share of impostor pairs that score as high, as measured
            line += f"  as high as {analyzer.calibration.fmr_of(score):.1e} of impostor pairs"
        print(line)
