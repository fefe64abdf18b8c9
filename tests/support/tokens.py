"""An issuer of tokens: a key pair, its JWKS as a file or over HTTP."""

import contextlib
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer

import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm

ISSUER, AUDIENCE = "https://issuer.example", "shortlist"


class Issuer:
    """`jwks` is the file of its public keys."""

    def __init__(self, folder):
        self.jwks = folder / "jwks.json"
        self.rotate("k1", ec.generate_private_key(ec.SECP256R1()))

    def rotate(self, name, key):
        self._name, self._key = name, key
        public = json.loads(ECAlgorithm.to_jwk(key.public_key()))
        self.jwks.write_text(json.dumps({"keys": [{**public, "kid": name, "alg": "ES256", "use": "sig"}]}))

    @staticmethod
    def claims(expires_in_s=600, **others):
        claims = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": "shop",
            "exp": int(time.time()) + expires_in_s,
            "scope": "admin",
        }
        return {name: value for name, value in {**claims, **others}.items() if value is not None}

    def token(self, **others):
        return jwt.encode(self.claims(**others), self._key, algorithm="ES256", headers={"kid": self._name})

    @contextlib.contextmanager
    def published(self):
        """Serves the JWKS; yields its URL."""
        jwks = self.jwks

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(200)
                self.end_headers()
                self.wfile.write(jwks.read_bytes())

            def log_message(self, *_):
                pass

        with HTTPServer(("127.0.0.1", 0), Handler) as server:
            thread = threading.Thread(target=server.serve_forever, daemon=True)
            thread.start()
            yield f"http://127.0.0.1:{server.server_port}/jwks"
            server.shutdown()
