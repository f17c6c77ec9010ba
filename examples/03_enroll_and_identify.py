"""Put people into a gallery, and ask who is on a photograph.

    python examples/03_enroll_and_identify.py people/ photo.jpg

people/ holds one folder a person. Options --model, --detector, --threshold, --gallery.
"""

import argparse

from tronie import FaceAnalyzer, Gallery, TronieError
from tronie.data.readers.image_folder import identities
from tronie.gallery.exact import expected_fpir, search_people
from tronie.gallery.records import Photograph
from tronie.geometry.hypersphere import normalize
from tronie.provenance import file_sha256
from tronie.runtime.verification import one_face, threshold_for

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
defaults = {"--model": "sface-2021dec", "--detector": "yunet-2023mar", "--gallery": "gallery.db"}
for word in ("people", "photo", *defaults):
    parser.add_argument(word, default=defaults.get(word))
parser.add_argument("--threshold", type=float, help="default: the card's, at a FMR of 1e-4")
asked = parser.parse_args()
try:
    ai = FaceAnalyzer(asked.detector, asked.model, policy="largest")
    limit = threshold_for(ai, fmr=1e-4, threshold=asked.threshold)
    with Gallery.open(asked.gallery, contract=ai.contract_id, model=ai.model_name, create=True,
            detector=ai.detector_name, dimension=ai.embedder.dimension) as gallery:  # fmt: skip
        for name, path in identities([asked.people]):
            face = one_face(ai.analyze(path), what=path.name)[0]
            gallery.add(name, [Photograph(source=path.name, sha256=file_sha256(path), embedding=
                face.embeddings[0], box=face.boxes[0], detector_score=face.scores[0])])  # fmt: skip
        names, _, rows = gallery.embeddings()
    probe = normalize(one_face(ai.analyze(asked.photo), what=asked.photo)[0].embeddings)[0]
except TronieError as fault:  # no face, no threshold, another model's gallery: one sentence
    raise SystemExit(str(fault)) from fault
found = zip(*search_people(probe, rows, names, top=3, threshold=limit.value)[0], strict=True)
print(*(f"{names[row]}: {score:.3f}" for row, score in found), sep="\n")
fpir = expected_fpir(max(limit.fmr, 1 / n), len(names)) if (n := limit.impostor_pairs) else "?"
print(f"threshold {limit.value:.3f}; FPIR (a stranger is taken for one of them) at most: {fpir}")
