"""Settings of the addresses, and of who may call."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from server.security.scopes import Scope
from server.security.tokens import TokenRules
from server.settings.kinds import Address, ListenAddress


class AccessSettings(BaseModel):
    """Addresses, certificates, keys and tokens."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    listen: ListenAddress = Field(
        "127.0.0.1:8470",
        description="address of the gRPC port; port 0 takes a free one; unix:PATH for a socket of this user alone",
    )
    metrics_listen: Address = Field("127.0.0.1:8471", description="address of the Prometheus page; port 0: a free one")
    playground: bool = Field(False, description="serve a page to try the gateway in the machine's own browser")
    playground_listen: Address = Field(
        "127.0.0.1:8472", description="address of that page, on loopback; port 0: a free one"
    )
    playground_other: Address | None = Field(
        None, description="a second gateway, in plaintext, whose lists that page can put beside its own"
    )
    insecure: bool = Field(
        False, description="allow plaintext, or callers without an identity, on an address other than loopback"
    )
    tls_certificate: Path | None = Field(None, description="PEM file with the server's certificate chain")
    tls_key: Path | None = Field(None, description="PEM file with its private key")
    tls_client_ca: Path | None = Field(None, description="PEM file; callers must then show a certificate it signed")
    client_certificate_scopes: str = Field(
        "read,write_events", description="scopes of callers known by their certificate alone"
    )
    api_keys: str | None = Field(
        None, description="TOML file of API keys, or redis://HOST:PORT for several gateways, as `shortlist key` writes"
    )
    jwt_issuer: str | None = Field(None, min_length=1, description="iss of the tokens that are accepted")
    jwt_audience: str | None = Field(None, min_length=1, description="audience that tokens must be for")
    jwt_keys: str | None = Field(None, min_length=1, description="JWKS file or https URL with the issuer's public keys")

    def certificate_scopes(self) -> frozenset[Scope] | None:
        """Returns the scopes of callers known by their certificate; None where none is asked for."""
        if self.tls_client_ca is None:
            return None
        return Scope.parse(name.strip() for name in self.client_certificate_scopes.split(","))

    def token_rules(self) -> TokenRules | None:
        """Returns the rules of tokens; None where none are taken."""
        if self.jwt_issuer is None or self.jwt_audience is None or self.jwt_keys is None:
            return None
        return TokenRules(self.jwt_issuer, self.jwt_audience, self.jwt_keys)

    @property
    def knows_callers(self) -> bool:
        """True where callers need an identity."""
        return self.api_keys is not None or self.jwt_issuer is not None or self.tls_client_ca is not None
