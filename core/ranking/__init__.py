"""Order of candidates: fusion, blend, features of the ranker."""
