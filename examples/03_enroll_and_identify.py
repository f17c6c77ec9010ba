"""Put people into a gallery, and ask who is on a photograph.

    python examples/03_enroll_and_identify.py people/ photo.jpg

people/ holds one folder a person. Options --detector, --model, --threshold, --gallery.
"""

import argparse
import hashlib
from pathlib import Path

from tronie import FaceAnalyzer, Gallery
from tronie.data.readers.image_folder import identities
from tronie.gallery.exact import search
from tronie.gallery.records import Photograph
from tronie.geometry.hypersphere import normalize

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("people", type=Path)
parser.add_argument("photo", type=Path)
parser.add_argument("--detector", default="yunet-2023mar")
parser.add_argument("--model", default="sface-2021dec")
parser.add_argument("--threshold", type=float, help="default: the card's, at a FMR of 1e-4")
parser.add_argument("--gallery", default="gallery.db")
asked = parser.parse_args()

analyzer = FaceAnalyzer(asked.detector, asked.model, policy="largest")
threshold = asked.threshold or analyzer.calibration.at_fmr(1e-4).value
made_with = {"contract": analyzer.contract_id, "model": analyzer.model_name,
             "detector": analyzer.detector_name, "dimension": analyzer.embedder.dimension}  # fmt: skip
with Gallery.open(asked.gallery, create=True, **made_with) as gallery:
    for name, path in identities([asked.people]):
        face, digest = analyzer.analyze(path), hashlib.sha256(path.read_bytes()).hexdigest()
        box = tuple(map(float, face.boxes[0]))
        gallery.add(name, [Photograph(source=path.name, sha256=digest, box=box, embedding=
                    face.embeddings[0], detector_score=float(face.scores[0]))])  # fmt: skip
    names, templates = gallery.identities()
probe = normalize(analyzer.analyze(asked.photo).embeddings)[0]
for row, score in zip(*search(probe, templates, top=3, threshold=threshold)[0], strict=True):
    print(f"{names[row]}: {score:.3f} (threshold {threshold:.3f})")
