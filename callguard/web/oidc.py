"""Signing in with the house's own identity provider (OpenID Connect, code flow with PKCE); off unless it is set.

Who may come in is still decided here: an account of the name the provider vouches for must exist, its roles are ours.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Any, Protocol

from callguard.model.errors import PeerFault, Refused

COOKIE = "callguard_oidc"
MINUTES = 10
SIGNED_BY = ("RS256", "RS384", "RS512", "ES256", "ES384", "PS256", "PS384", "EdDSA")
"""Signatures that only the provider can make; "none" and the shared-secret ones are not among them."""

TIMEOUT_S = 8.0


class OidcPart(Protocol):
    """Of the settings, what this needs."""

    @property
    def issuer(self) -> str: ...
    @property
    def client_id(self) -> str: ...
    @property
    def secret(self) -> Any: ...
    @property
    def claim(self) -> str: ...
    @property
    def label(self) -> str: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Errand:
    """What one browser must bring back. after: the page it wanted."""

    state: str
    nonce: str
    verifier: str
    after: str

    @classmethod
    def begin(cls, after: str) -> Errand:
        """A new one."""
        state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
        return cls(state=state, nonce=nonce, verifier=verifier, after=after)

    @property
    def cookie(self) -> str:
        """As the browser keeps it, readable for this server alone."""
        return "~".join((self.state, self.nonce, self.verifier, self.after))

    @classmethod
    def read(cls, cookie: str) -> Errand:
        """Raises Refused where it is none of ours."""
        state, _, rest = cookie.partition("~")
        nonce, _, rest = rest.partition("~")
        verifier, _, after = rest.partition("~")
        if not (state and nonce and verifier):
            raise Refused("no sign-in was begun here", code="sign-in-stale")
        return cls(state=state, nonce=nonce, verifier=verifier, after=after)


async def way_out(settings: OidcPart, errand: Errand, *, back: str) -> str:
    """The provider's address to send the browser to. Raises PeerFault where the provider is away."""
    from authlib.integrations.httpx_client import AsyncOAuth2Client

    about = await _discover(settings)
    async with AsyncOAuth2Client(
        settings.client_id, redirect_uri=back, scope="openid profile email", code_challenge_method="S256"
    ) as client:
        address, _ = client.create_authorization_url(
            about["authorization_endpoint"], state=errand.state, nonce=errand.nonce, code_verifier=errand.verifier
        )
    return str(address)


async def who_came_back(settings: OidcPart, errand: Errand, *, code: str, state: str, back: str) -> str:
    """The name the provider vouches for. Raises Refused "sign-in-stale", PeerFault "provider-away"."""
    import httpx
    from authlib.integrations.base_client.errors import OAuthError
    from authlib.integrations.httpx_client import AsyncOAuth2Client

    if not secrets.compare_digest(state.encode(), errand.state.encode()):
        raise Refused("this answer belongs to another sign-in", code="sign-in-stale")
    about = await _discover(settings)
    secret = settings.secret.get_secret_value()
    try:
        async with AsyncOAuth2Client(
            settings.client_id,
            secret or None,
            redirect_uri=back,
            token_endpoint_auth_method="client_secret_basic" if secret else "none",
            timeout=TIMEOUT_S,
        ) as client:
            tokens = await client.fetch_token(about["token_endpoint"], code=code, code_verifier=errand.verifier)
            keys = (await client.request("GET", about["jwks_uri"], withhold_token=True)).raise_for_status().json()
    except OAuthError as error:
        raise Refused("the provider did not vouch for anybody", code="sign-in-stale") from error
    except (httpx.HTTPError, ValueError) as error:
        raise _away() from error
    return _name(settings, str(tokens.get("id_token", "")), keys, nonce=errand.nonce)


def _name(settings: OidcPart, token: str, keys: Any, *, nonce: str) -> str:
    from joserfc import jwt
    from joserfc.errors import JoseError
    from joserfc.jwk import KeySet

    rules = jwt.JWTClaimsRegistry(
        leeway=60,
        iss={"essential": True, "value": settings.issuer},
        aud={"essential": True, "value": settings.client_id},
        nonce={"essential": True, "value": nonce},
        exp={"essential": True},
        iat={"essential": True},
        sub={"essential": True},
    )
    try:
        claims = jwt.decode(token, KeySet.import_key_set(keys), algorithms=list(SIGNED_BY)).claims
        rules.validate(claims)
    except (JoseError, ValueError, KeyError, TypeError) as error:
        raise Refused("the provider's word does not hold", code="sign-in-stale") from error
    if claims.get("azp", settings.client_id) != settings.client_id or claims.get("email_verified") is False:
        raise Refused("the provider's word is not for us", code="sign-in-stale")
    name = claims.get(settings.claim)
    if not isinstance(name, str) or not name:
        raise Refused(f"the provider's word has no {settings.claim}", code="sign-in-stale")
    return name


async def _discover(settings: OidcPart) -> dict[str, str]:
    """The provider's own description. Raises PeerFault."""
    import httpx

    try:
        async with httpx.AsyncClient(timeout=TIMEOUT_S) as client:
            answer = await client.get(settings.issuer.rstrip("/") + "/.well-known/openid-configuration")
            about = answer.raise_for_status().json()
        wanted = ("authorization_endpoint", "token_endpoint", "jwks_uri")
        found = {key: str(about[key]) for key in wanted}
    except (httpx.HTTPError, ValueError, KeyError, TypeError) as error:
        raise _away() from error
    if about.get("issuer") != settings.issuer:
        raise PeerFault("the identity provider calls itself otherwise", code="provider-away", hint="check oidc.issuer")
    return found


def _away() -> PeerFault:
    return PeerFault(
        "the identity provider does not answer", code="provider-away", hint="sign in with a password, or try later"
    )
