"""Passkeys (通行密钥, WebAuthn) as second factor: what the browser is asked, and judging what it answers.

The challenge travels in a signed cookie and is good for minutes; the signature and its counter are judged by the
library. Users are not asked for attestation: which make of key it is does not matter here.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import msgspec

from piaoma.invoice.refusal import refuse
from piaoma.store import milliseconds

from .factors import add_factor
from .sessions import Session

if TYPE_CHECKING:
    from .office import Office

CHALLENGE_BYTES = 32
ANSWER_MAX = 20_000  # characters of what a browser answers
# The library takes a tenth of a second to import, and most requests never need it.


def _relying(office: Office) -> tuple[str, str]:
    """Our name towards authenticators, and the origin that answers must come from."""
    parts = urlsplit(office.config.base_url)
    return parts.hostname or "", f"{parts.scheme}://{parts.netloc}"


def new_challenge() -> bytes:
    return secrets.token_bytes(CHALLENGE_BYTES)


async def registration_options(office: Office, session: Session, challenge: bytes) -> str:
    """What ``navigator.credentials.create`` is asked, as JSON."""
    import webauthn
    from webauthn.helpers import structs

    rows = await office.database.read(
        "SELECT credential FROM factors WHERE person_id = $1 AND kind = 'passkey'", session.person_id
    )
    known = [structs.PublicKeyCredentialDescriptor(id=webauthn.base64url_to_bytes(row[0])) for row in rows]
    options = webauthn.generate_registration_options(
        rp_id=_relying(office)[0],
        rp_name="票码 Piaoma",
        user_id=session.person_id.to_bytes(8, "big"),
        user_name=session.login,
        user_display_name=session.name,
        challenge=challenge,
        exclude_credentials=known,
        authenticator_selection=structs.AuthenticatorSelectionCriteria(
            user_verification=structs.UserVerificationRequirement.PREFERRED
        ),
    )
    return str(webauthn.options_to_json(options))


async def add_passkey(office: Office, session: Session, challenge: bytes, answer: str, name: str) -> list[str]:
    """Keep a new passkey; the recovery codes if it is the first factor. Raises ``Refused`` FACTOR-PASSKEY."""
    import webauthn
    from webauthn.helpers import bytes_to_base64url

    rp_id, origin = _relying(office)
    try:
        made = webauthn.verify_registration_response(
            credential=_decoded(answer), expected_challenge=challenge, expected_rp_id=rp_id, expected_origin=origin
        )
    except Exception as error:  # the library has a class of error for each field of the answer, and not only its own
        raise refuse("FACTOR-PASSKEY") from error
    return await add_factor(
        office, session, "passkey", name, made.credential_public_key,
        credential=bytes_to_base64url(made.credential_id), counter=made.sign_count,
    )  # fmt: skip


async def authentication_options(office: Office, person_id: int, challenge: bytes) -> str:
    """What ``navigator.credentials.get`` is asked, as JSON; empty when the person has no passkey."""
    import webauthn
    from webauthn.helpers import structs

    rows = await office.database.read(
        "SELECT credential FROM factors WHERE person_id = $1 AND kind = 'passkey'", person_id
    )
    if not rows:
        return ""
    options = webauthn.generate_authentication_options(
        rp_id=_relying(office)[0],
        challenge=challenge,
        allow_credentials=[
            structs.PublicKeyCredentialDescriptor(id=webauthn.base64url_to_bytes(row[0])) for row in rows
        ],
    )
    return str(webauthn.options_to_json(options))


async def check_passkey(office: Office, person_id: int, challenge: bytes, answer: str) -> None:
    """Judge an answer. Raises ``Refused`` FACTOR-PASSKEY: another's key, challenge, site or a bad signature."""
    import webauthn

    decoded = _decoded(answer)
    rows = await office.database.read(
        "SELECT factor_id, secret, counter FROM factors WHERE person_id = $1 AND kind = 'passkey' AND credential = $2",
        person_id, str(decoded.get("id", "")),
    )  # fmt: skip
    if not rows:
        raise refuse("FACTOR-PASSKEY")
    rp_id, origin = _relying(office)
    try:
        judged = webauthn.verify_authentication_response(
            credential=decoded, expected_challenge=challenge, expected_rp_id=rp_id, expected_origin=origin,
            credential_public_key=bytes(rows[0]["secret"]), credential_current_sign_count=rows[0]["counter"],
        )  # fmt: skip
    except Exception as error:
        raise refuse("FACTOR-PASSKEY") from error
    async with office.database.write() as transaction:
        await transaction.execute(
            "UPDATE factors SET counter = $3, used_at_ms = $4 WHERE person_id = $1 AND factor_id = $2",
            person_id, rows[0]["factor_id"], judged.new_sign_count, milliseconds(office.now()),
        )  # fmt: skip


def _decoded(answer: str) -> dict[str, Any]:
    """What the browser's script sent, as a map."""
    try:
        decoded = msgspec.json.decode(answer[:ANSWER_MAX])
    except (msgspec.DecodeError, RecursionError):
        raise refuse("FACTOR-PASSKEY") from None
    if not isinstance(decoded, dict):
        raise refuse("FACTOR-PASSKEY")
    return decoded
