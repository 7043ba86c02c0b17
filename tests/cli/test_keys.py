"""``piaoma keys`` and the start of a server, as an operator meets them: in processes of their own."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from piaoma.cli.records import show_config
from piaoma.desk.config import ConfigFault, load_config
from piaoma.trust.key_secret import SECRET_CHARS_MIN, KeySecret
from piaoma.trust.sealed_file import load_or_create_key
from tests.trust.signing import outside_signer

SECRET = "0123456789abcdef" * 4


def piaoma(data: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PIAOMA_")}
    return subprocess.run(
        [sys.executable, "-m", "piaoma.cli", *arguments],
        env={**kept, "PIAOMA_DATA": str(data), **variables}, capture_output=True, text=True, timeout=60,
    )  # fmt: skip


def state_of(folder: Path) -> dict[str, str]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_keys_from_first_to_last(tmp_path: Path) -> None:
    """Made, listed, rotated, exported. Nothing private is shown or handed out; a folder that has something is left."""
    data, out = tmp_path / "data", tmp_path / "public"
    assert json.loads(piaoma(data, "keys", "list", "--json").stdout) == []
    made = piaoma(data, "keys", "make")
    assert made.returncode == 0 and "票码沙盒测试税务签名" in made.stdout and "enciphered" in made.stdout
    assert piaoma(data, "keys", "rotate").returncode == 0
    listed = json.loads(piaoma(data, "keys", "rotate", "--seal-maker", "--json").stdout)
    assert {entry["name"]: (entry["state"], entry["kept"]) for entry in listed} == {
        "root": ("root", "enciphered"),
        "issuer": ("issuer", "enciphered"),
        "signer": ("earlier", "enciphered"),
        "signer-2": ("in use", "enciphered"),
        "seal-maker": ("earlier", "enciphered"),
        "seal-maker-2": ("in use", "enciphered"),
    }
    exported = piaoma(data, "keys", "export", "--out", str(out))
    assert exported.returncode == 0 and (out / "chain.pem").exists() and len(list(out.iterdir())) == 7
    secret = (data / "keys" / "sandbox.secret").read_text().strip()
    told = made.stdout + exported.stdout + json.dumps(listed) + "".join(path.read_text() for path in out.iterdir())
    assert "PRIVATE" not in told and secret not in told
    again = piaoma(data, "keys", "export", "--out", str(out))
    assert again.returncode == 2 and "KEYS-EXPORT-EXISTS" in again.stderr


@pytest.mark.parametrize("command", [["serve"], ["keys", "make"], ["keys", "rotate"], ["keys", "serve-signer"]])
def test_a_wrong_secret_ends_the_start_in_one_line_and_changes_nothing(tmp_path: Path, command: list[str]) -> None:
    """With its cause and what to do, no trace of the program, and the folder as it was."""
    data = tmp_path / "data"
    assert piaoma(data, "keys", "make", PIAOMA_KEY_SECRET=SECRET).returncode == 0
    before = state_of(data)
    more = ["--socket", str(tmp_path / "s")] if command[-1] == "serve-signer" else []
    cases = {
        "KEYS-SECRET-WRONG": {"PIAOMA_KEY_SECRET": SECRET[::-1]},
        "KEYS-SECRET-MISSING": {"PIAOMA_KEY_SECRET_FILE": str(tmp_path / "none")},
    }
    for cause, variables in cases.items():
        done = piaoma(data, *command, *more, **variables)
        assert done.returncode == 2 and done.stderr.startswith(cause) and done.stderr.count("\n") == 1, done.stderr
        assert {name: digest for name, digest in state_of(data).items() if not name.endswith("lock")} == {
            name: digest for name, digest in before.items() if not name.endswith("lock")
        }


def test_the_secret_may_be_a_variable_or_a_file_anywhere(tmp_path: Path) -> None:
    """The same secret by either way opens the same keys; then there is none beside the keys."""
    data, file = tmp_path / "data", tmp_path / "credential"
    file.write_text(f"{SECRET}\nsecond line\n")
    assert piaoma(data, "keys", "make", PIAOMA_KEY_SECRET_FILE=str(file)).returncode == 0
    assert piaoma(data, "keys", "rotate", PIAOMA_KEY_SECRET=SECRET).returncode == 0
    assert not (data / "keys" / "sandbox.secret").exists()
    weak = piaoma(tmp_path / "other", "keys", "make", PIAOMA_KEY_SECRET="x" * (SECRET_CHARS_MIN - 1))
    assert weak.returncode == 2 and "KEYS-SECRET-WEAK" in weak.stderr


def test_the_secret_can_be_changed(tmp_path: Path) -> None:
    """The old one is named once; afterwards only the new one opens the keys."""
    data, old = tmp_path / "data", tmp_path / "old"
    piaoma(data, "keys", "make")
    token = data / "keys" / "token.key"
    key = load_or_create_key(token, KeySecret(data / "keys" / "sandbox.secret"))
    shutil.move(data / "keys" / "sandbox.secret", old)
    assert piaoma(data, "keys", "make", "--secret-before", str(old)).returncode == 0, (
        "a new one is made beside the keys"
    )
    assert piaoma(data, "keys", "make").returncode == 0
    assert "KEYS-SECRET-WRONG" in piaoma(data, "keys", "make", PIAOMA_KEY_SECRET_FILE=str(old)).stderr
    assert load_or_create_key(token, KeySecret(data / "keys" / "sandbox.secret")) == key
    # Where an outside signer signs, what is kept here follows too.
    elsewhere = {"PIAOMA_SIGNER": f"unix:{tmp_path}/s", "PIAOMA_KEY_SECRET": SECRET}
    changed = piaoma(data, "keys", "make", "--secret-before", str(data / "keys" / "sandbox.secret"), **elsewhere)
    assert changed.returncode == 0 and load_or_create_key(token, KeySecret(old, SECRET)) == key


def test_where_an_outside_signer_signs_no_key_is_made(tmp_path: Path) -> None:
    """The commands say where they belong."""
    for command in ("make", "rotate"):
        done = piaoma(tmp_path / "data", "keys", command, PIAOMA_SIGNER=f"unix:{tmp_path}/s")
        assert done.returncode == 2 and "KEYS-ELSEWHERE" in done.stderr
    assert not (tmp_path / "data").exists()


def test_the_configuration_names_signer_and_library_and_hides_the_secret(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Impossible values are refused; ``piaoma config`` shows that there is a secret, not which."""
    for variables in ({"PIAOMA_SIGNER": "tcp:somewhere"}, {"PIAOMA_SIGNER": "unix:/x?uid=me"}, {"PIAOMA_SM2": "gmssl"}):
        with pytest.raises(ConfigFault):
            load_config(None, variables)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PIAOMA_KEY_SECRET", SECRET)
    for as_json in (True, False):
        show_config(None, json=as_json)
        shown = capsys.readouterr().out
        assert "key_secret" in shown and "***" in shown and SECRET not in shown
    config, _ = load_config(None)
    assert SECRET not in repr(config.secret)


def test_each_library_serves_the_same_keys(tmp_path: Path) -> None:
    """Made with one, listed and rotated with the other."""
    data = tmp_path / "data"
    for library in ("openssl", "tongsuo"):
        assert piaoma(data, "keys", "make", PIAOMA_SM2=library).returncode == 0
        assert piaoma(data, "keys", "rotate", PIAOMA_SM2=library).returncode == 0


def test_the_list_says_whether_an_outside_signer_could_sign_now(tmp_path: Path) -> None:
    """With exit code and cause; the folder of the server is listed as it is."""
    theirs, data = tmp_path / "signer", tmp_path / "data"
    variables = {"PIAOMA_SIGNER": f"unix:{tmp_path}/s"}
    with outside_signer(theirs, tmp_path / "s"):
        (data / "keys" / "sandbox").mkdir(parents=True)
        shutil.copy(theirs / "keys" / "sandbox" / "root.pem", data / "keys" / "sandbox")
        there = piaoma(data, "keys", "list", **variables)
        assert there.returncode == 0 and "票码沙盒测试税务签名" in there.stdout and "issuer" not in there.stdout
    away = piaoma(data, "keys", "list", "--json", **variables)
    assert away.returncode == 1 and "ISSUE-SIGNER-DOWN" in away.stderr
    assert [entry["kept"] for entry in json.loads(away.stdout)] == ["absent"]
