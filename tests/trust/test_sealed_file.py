"""Keys of tokens, cookies and the log at rest: enciphered, under their own names, and never lost on the way."""

from __future__ import annotations

from pathlib import Path

import pytest

from piaoma.invoice.refusal import Refused
from piaoma.trust import files
from piaoma.trust.checkpoint import load_or_create_log_key
from piaoma.trust.document_key import encipher_document_key, open_document_key
from piaoma.trust.key_secret import KeySecret
from piaoma.trust.sealed_file import KEY_BYTES, encipher_anew, is_sealed, load_or_create_key

SECRET = KeySecret(Path("unused"), "0123456789abcdef" * 4)
OTHER = KeySecret(Path("unused"), "fedcba9876543210" * 4)


def test_a_key_is_made_once_and_is_not_in_its_file(tmp_path: Path) -> None:
    """Mode 0600; the same at every start."""
    path = tmp_path / "token.key"
    key = load_or_create_key(path, SECRET)
    assert len(key) == KEY_BYTES and load_or_create_key(path, SECRET) == key
    assert key not in path.read_bytes() and path.stat().st_mode & 0o777 == 0o600


def test_the_log_key_is_not_in_its_file(tmp_path: Path) -> None:
    """Neither as text nor as bytes."""
    load_or_create_log_key(tmp_path / "log.key", "example.cn/log", SECRET)
    assert is_sealed((tmp_path / "log.key").read_bytes()) and b"PRIVATE" not in (tmp_path / "log.key").read_bytes()


def test_a_plain_key_of_an_earlier_version_is_enciphered_and_stays_the_same(tmp_path: Path) -> None:
    """Printed codes still open; one that is no key is refused and left as it is."""
    path = tmp_path / "token.key"
    path.write_bytes(bytes(range(KEY_BYTES)))
    assert load_or_create_key(path, SECRET) == bytes(range(KEY_BYTES)) and is_sealed(path.read_bytes())
    assert load_or_create_key(path, SECRET) == bytes(range(KEY_BYTES))
    for name, load in (("short.key", load_or_create_key), ("log.key", _log)):
        (tmp_path / name).write_bytes(b"something else")
        with pytest.raises(ValueError, match="does not hold"):
            load(tmp_path / name, SECRET)
        assert (tmp_path / name).read_bytes() == b"something else"


def _log(path: Path, secret: KeySecret) -> object:
    return load_or_create_log_key(path, "example.cn/log", secret)


def test_another_secret_or_one_changed_byte_opens_nothing_and_changes_nothing(tmp_path: Path) -> None:
    """Nor does one file in the place of another."""
    path = tmp_path / "token.key"
    load_or_create_key(path, SECRET)
    kept = path.read_bytes()
    with pytest.raises(Refused, match="KEYS-SECRET-WRONG"):
        load_or_create_key(path, OTHER)
    assert path.read_bytes() == kept
    for at in range(kept.index(b"\n") + 1, len(kept)):
        path.write_bytes(kept[:at] + bytes((kept[at] ^ 1,)) + kept[at + 1 :])
        if at % 8 == 0 or at > len(kept) - 20:
            with pytest.raises(Refused, match="KEYS-SECRET-WRONG"):
                load_or_create_key(path, SECRET)
    path.write_bytes(kept[:30])
    with pytest.raises(Refused, match="KEYS-SECRET-WRONG"):
        load_or_create_key(path, SECRET)
    (tmp_path / "cookie.key").write_bytes(kept)
    with pytest.raises(Refused, match="KEYS-SECRET-WRONG"):
        load_or_create_key(tmp_path / "cookie.key", SECRET)


@pytest.mark.parametrize("step", ["write_new", "rename"])
def test_a_start_that_dies_while_it_enciphers_loses_no_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """Before the new file is written, and before it takes the name of the plain one."""
    path = tmp_path / "token.key"
    path.write_bytes(bytes(range(KEY_BYTES)))

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(files if step == "write_new" else Path, step, die)
        with pytest.raises(KeyboardInterrupt):
            load_or_create_key(path, SECRET)
    assert load_or_create_key(path, SECRET) == bytes(range(KEY_BYTES))


def test_a_changed_secret_opens_the_same_keys(tmp_path: Path) -> None:
    """Run twice, as after a death in the middle; with a third secret nothing changes."""
    token, third = tmp_path / "token.key", KeySecret(Path("unused"), "x" * 40)
    key, document = load_or_create_key(token, SECRET), open_document_key(tmp_path / "document", SECRET.text)
    for _ in range(2):
        encipher_anew(token, OTHER, SECRET)
        encipher_document_key(tmp_path / "document", OTHER.text, SECRET.text)
    assert load_or_create_key(token, OTHER) == key
    assert open_document_key(tmp_path / "document", OTHER.text).certificate == document.certificate
    before = token.read_bytes(), (tmp_path / "document" / "document.key").read_bytes()
    with pytest.raises(Refused, match="KEYS-SECRET-WRONG"):
        encipher_anew(token, third, SECRET)
    with pytest.raises(Refused, match="KEYS-SECRET-WRONG"):
        encipher_document_key(tmp_path / "document", third.text, SECRET.text)
    assert (token.read_bytes(), (tmp_path / "document" / "document.key").read_bytes()) == before
