from pathlib import Path

import numpy as np

from training.encoder.line_encoder import LineEncoder


def test_every_line_to_come_is_encoded_at_the_first_question_once_an_encoder():
    asked = []

    def encode(folder, lines):
        asked.append((folder.name, list(lines)))
        return np.array([[len(line), 1.0] for line in lines], np.float32)

    encoder = LineEncoder(encode, ["bb", "a", "bb"])
    assert encoder.encode(Path("x"), ["bb"]).tolist() == [[2, 1]]
    assert encoder.encode(Path("x"), ["a", "bb"]).tolist() == [[1, 1], [2, 1]]
    assert encoder.encode(Path("y"), ["a"]).tolist() == [[1, 1]]
    assert encoder.encode(Path("x"), ["new"]).tolist() == [[3, 1]]
    assert asked == [("x", ["a", "bb"]), ("y", ["a", "bb"]), ("x", ["new"])]
