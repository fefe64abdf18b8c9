"""FastAPI, ONNX Runtime and hnswlib: text search as one writes it in twenty lines, one thread a call, no batches.

    RELEASE=releases/ID uvicorn fastapi_search:app

Reads encoder, tokenizer and graph of a release.
"""

import json
import os
from pathlib import Path
from typing import Any

import hnswlib
import numpy as np
import onnxruntime
from fastapi import FastAPI
from tokenizers import Tokenizer

release = Path(os.environ["RELEASE"])
tokenizer = Tokenizer.from_file(str(release / "tokenizer.json"))
tokenizer.no_padding()
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1
session = onnxruntime.InferenceSession(release / "models/encoder.onnx", options, ["CPUExecutionProvider"])
ids = [json.loads(line)["id"] for line in (release / "items.jsonl").open(encoding="utf-8")]
vectors = np.load(release / "vectors.npy")
index = hnswlib.Index(space="ip", dim=vectors.shape[1])
index.load_index(str(release / "graph.hnsw"))
index.set_ef(80)
app = FastAPI()


@app.post("/search")
def search(body: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """Returns the ids and scores of the nearest items."""
    tokens = np.array([tokenizer.encode(body["text"]).ids])
    vector = session.run(None, {"input_ids": tokens, "attention_mask": np.ones_like(tokens)})[0]
    labels, distances = index.knn_query(vector, k=int(body["k"]), num_threads=1)
    found = zip(labels[0], distances[0], strict=True)
    return {"items": [{"id": ids[label], "score": float(1 - distance)} for label, distance in found]}
