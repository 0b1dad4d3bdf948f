from __future__ import annotations

import errno
import json
import logging
import os
import stat
import subprocess
import threading

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa

from ckanext.authz_service import keys
from ckanext.authz_service.errors import KeyExists, MissingKey, UnsuitableAlgorithm, UnusableKey
from tests.authz_service.jose import public_key_of


@pytest.fixture
def directory(tmp_path):
    return tmp_path / "etc" / "keys"


def write(path, key, encryption=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            encryption or serialization.NoEncryption(),
        )
    )
    path.chmod(0o600)


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


# --- generating -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("algorithm", "kind"),
    [
        ("RS256", rsa.RSAPrivateKey),
        ("RS512", rsa.RSAPrivateKey),
        ("ES256", ec.EllipticCurvePrivateKey),
        ("EdDSA", ed25519.Ed25519PrivateKey),
    ],
)
def test_generate_then_load(directory, algorithm, kind):
    made = keys.generate(directory, algorithm)
    loaded = keys.load(directory)
    assert isinstance(loaded.key, kind)
    assert (made.kid, made.algorithm) == (loaded.kid, algorithm)
    assert loaded.using(algorithm).algorithm == algorithm
    assert keys.load_public(directory).kid == made.kid
    assert list(keys.verification_keys(directory)) == [made.kid]


def test_rsa_keys_have_3072_bits(directory):
    key = keys.generate(directory).key
    assert isinstance(key, rsa.RSAPrivateKey)
    assert key.key_size == 3072


def test_files_are_private_from_the_start(directory):
    before = os.umask(0)
    try:
        keys.generate(directory, "EdDSA")
    finally:
        os.umask(before)
    assert mode(directory) == 0o700
    assert mode(directory / "current.pem") == 0o600
    assert mode(directory / "current.pub.pem") == 0o644
    assert sorted(path.name for path in directory.iterdir()) == ["current.pem", "current.pub.pem"]
    assert (directory / "current.pem").read_bytes().startswith(b"-----BEGIN PRIVATE KEY-----")
    assert (directory / "current.pub.pem").read_text() == keys.load(directory).public.pem


def test_a_key_is_never_overwritten(directory):
    keys.generate(directory, "EdDSA")
    before = {path.name: path.read_bytes() for path in directory.iterdir()}
    with pytest.raises(KeyExists, match="ckan authz keys rotate") as raised:
        keys.generate(directory, "EdDSA")
    assert raised.value.path == directory / "current.pem"
    assert {path.name: path.read_bytes() for path in directory.iterdir()} == before


def test_of_several_that_generate_at_once_one_wins(directory):
    made, refused, start = [], [], threading.Barrier(8)

    def generate():
        start.wait()
        try:
            made.append(keys.generate(directory, "EdDSA"))
        except KeyExists as error:
            refused.append(error)

    threads = [threading.Thread(target=generate) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(made), len(refused)) == (1, 7)
    assert keys.load(directory).kid == made[0].kid == keys.load_public(directory).kid
    assert sorted(path.name for path in directory.iterdir()) == ["current.pem", "current.pub.pem"]


def test_a_public_file_left_alone_is_replaced(directory):
    keys.generate(directory, "EdDSA")
    (directory / "current.pem").unlink()
    assert keys.generate(directory, "ES256").kid == keys.load_public(directory).kid


def test_other_algorithms_are_refused(directory):
    for algorithm, reason in {
        "HS256": "each server checking tokens would know",
        "none": "whatever its bearer writes",
        "RSA-OAEP": "encrypts",
        "dir": "encrypts",
        "PS256": "not known here",
        "": "not known here",
    }.items():
        with pytest.raises(
            UnsuitableAlgorithm, match=f"{reason}.*RS256, RS384, RS512, ES256, EdDSA"
        ) as raised:
            keys.generate(directory, algorithm)
        assert raised.value.algorithm == algorithm
    assert not directory.exists()


def test_a_directory_that_cannot_be_written(tmp_path):
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(UnusableKey, match="directory you may write to"):
        keys.generate(file, "EdDSA")


def test_a_full_disk_leaves_nothing_behind(directory, monkeypatch):
    def full(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(UnusableKey, match="No space left"):
            keys.generate(directory, "EdDSA")
    assert list(directory.iterdir()) == []
    assert keys.generate(directory, "EdDSA")


# --- loading ----------------------------------------------------------------------------------------------


def test_no_key_names_the_command(directory):
    assert keys.verification_keys(directory) == {}
    for load in (keys.load, keys.load_public):
        with pytest.raises(MissingKey, match="ckan authz keygen") as raised:
            load(directory)
        assert raised.value.path == directory / "current.pem"


def test_loaded_once_and_again_when_the_file_changed(directory):
    keys.generate(directory, "EdDSA")
    first = keys.load(directory)
    assert keys.load(directory) is first

    # Same size, same time: what tells them apart is the inode.
    path = directory / "current.pem"
    times = path.stat()
    other = ed25519.Ed25519PrivateKey.generate()
    write(directory / "other", other)
    os.utime(directory / "other", ns=(times.st_atime_ns, times.st_mtime_ns))
    (directory / "other").replace(path)
    (directory / "current.pub.pem").unlink()
    assert keys.load(directory).kid == keys.thumbprint(other.public_key()) != first.kid

    # Same inode, same size: written over in place, a second later.
    third = ed25519.Ed25519PrivateKey.generate()
    write(path, third)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns + 10**9))
    assert keys.load(directory).kid == keys.thumbprint(third.public_key())

    path.unlink()
    with pytest.raises(MissingKey):
        keys.load(directory)


def test_without_a_public_file_the_private_key_serves(directory):
    made = keys.generate(directory, "EdDSA")
    (directory / "current.pub.pem").unlink()
    assert keys.load(directory).kid == made.kid
    assert list(keys.verification_keys(directory)) == [made.kid]


def test_a_server_that_only_checks_needs_no_private_key(directory):
    made = keys.generate(directory, "EdDSA")
    (directory / "current.pem").unlink()
    assert list(keys.verification_keys(directory)) == [made.kid]
    with pytest.raises(MissingKey):
        keys.load(directory)


def test_halves_of_different_keys_are_reported(directory):
    keys.generate(directory, "EdDSA")
    write(directory / "current.pem", ed25519.Ed25519PrivateKey.generate())
    with pytest.raises(UnusableKey, match=r"does not belong to .*current\.pub\.pem"):
        keys.load(directory)


@pytest.mark.parametrize(
    ("key", "reason"),
    [
        (rsa.generate_private_key(65537, 1024), "at least 2048"),
        (ec.generate_private_key(ec.SECP384R1()), "secp384r1"),
        (dsa.generate_private_key(2048), "RSA, P-256 or Ed25519"),
    ],
)
def test_keys_of_another_kind_are_refused_with_the_reason(directory, key, reason):
    write(directory / "current.pem", key)
    with pytest.raises(UnusableKey, match=reason):
        keys.load(directory)


def test_an_encrypted_key_is_refused_with_the_reason(directory):
    write(
        directory / "current.pem",
        ed25519.Ed25519PrivateKey.generate(),
        serialization.BestAvailableEncryption(b"secret"),
    )
    with pytest.raises(UnusableKey, match="encrypted"):
        keys.load(directory)


@pytest.mark.parametrize("content", [b"", b"secret", b"\xff\x00", b"-----BEGIN PRIVATE KEY-----\nAAAA\n"])
def test_other_files_are_refused_and_not_quoted(directory, content):
    for name in ("current.pem", "current.pub.pem"):
        directory.mkdir(parents=True, exist_ok=True)
        (directory / name).write_bytes(content)
    for load in (keys.load, keys.load_public):
        with pytest.raises(UnusableKey, match="PEM") as raised:
            load(directory)
        assert "secret" not in str(raised.value)


@pytest.mark.parametrize(
    ("key", "reason"),
    [
        (rsa.generate_private_key(65537, 1024), "at least 2048"),
        (dsa.generate_private_key(2048), "RSA, P-256 or Ed25519"),
    ],
)
def test_public_keys_of_another_kind_are_refused_with_the_reason(directory, key, reason):
    directory.mkdir(parents=True)
    pem = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    (directory / "current.pub.pem").write_bytes(pem)
    with pytest.raises(UnusableKey, match=reason):
        keys.load_public(directory)


def test_a_file_that_cannot_be_read(directory):
    (directory / "current.pem").mkdir(parents=True)
    with pytest.raises(UnusableKey, match=r"current\.pem.*may read it"):
        keys.load(directory)


def test_a_private_key_in_place_of_the_public_one_is_refused(directory):
    keys.generate(directory, "EdDSA")
    (directory / "current.pub.pem").write_bytes((directory / "current.pem").read_bytes())
    with pytest.raises(UnusableKey, match="not a public key"):
        keys.load_public(directory)


@pytest.mark.parametrize(
    ("file_mode", "warned"), [(0o600, False), (0o640, False), (0o660, True), (0o644, True), (0o604, True)]
)
def test_a_key_that_others_can_read_or_replace_is_reported(directory, caplog, file_mode, warned):
    keys.generate(directory, "EdDSA")
    (directory / "current.pem").chmod(file_mode)
    with caplog.at_level(logging.WARNING, keys.__name__):
        keys.load(directory)
        keys.load(directory)
    assert len(caplog.messages) == warned
    assert all("chmod 600" in message and "current.pem" in message for message in caplog.messages)


@pytest.mark.parametrize(("mode", "warned"), [(0o700, False), (0o755, False), (0o775, True), (0o1777, True)])
def test_a_directory_in_which_others_can_put_keys_is_reported(directory, caplog, mode, warned):
    keys.generate(directory, "EdDSA")
    directory.chmod(mode)
    with caplog.at_level(logging.WARNING, keys.__name__):
        keys.load(directory)
    assert len(caplog.messages) == warned
    assert all(f"chmod go-w {directory}" in message for message in caplog.messages)


@pytest.mark.parametrize(("mode", "warned"), [(0o644, False), (0o664, True), (0o646, True)])
def test_a_public_key_that_others_can_replace_is_reported(directory, caplog, mode, warned):
    keys.generate(directory, "EdDSA")
    (directory / "current.pub.pem").chmod(mode)
    with caplog.at_level(logging.WARNING, keys.__name__):
        keys.load_public(directory)
    assert len(caplog.messages) == warned
    assert all("chmod go-w" in message and "current.pub.pem" in message for message in caplog.messages)


# --- roles ------------------------------------------------------------------------------------------------


def test_only_the_roles_of_a_rotation_are_accepted(directory):
    made = {role: keys.generate(directory, "EdDSA", role).kid for role in ("next", "current", "giftless")}
    previous = keys.SigningKey.of(ed25519.Ed25519PrivateKey.generate()).public
    keys.write_public(directory, "previous", previous)
    assert list(keys.verification_keys(directory)) == [made["current"], made["next"], previous.kid]
    assert {role: keys.load(directory, role).kid for role in made} == made


def test_halves_of_different_keys_are_reported_in_each_role(directory):
    keys.generate(directory, "EdDSA", "giftless")
    write(directory / "giftless.pem", ed25519.Ed25519PrivateKey.generate())
    with pytest.raises(UnusableKey, match=r"does not belong to .*giftless\.pub\.pem"):
        keys.load(directory, "giftless")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
@pytest.mark.parametrize(("given", "expected"), [(0o600, 0o600), (0o640, 0o640), (0o664, 0o640)])
def test_who_reads_the_current_key_can_read_the_next_one(directory, given, expected):
    keys.generate(directory, "EdDSA")
    os.chown(directory / "current.pem", 1234, 4321)
    (directory / "current.pem").chmod(given)
    keys.generate(directory, "EdDSA", "next")
    for name in ("next.pem", "next.pub.pem"):
        status = (directory / name).stat()
        assert (status.st_uid, status.st_gid) == (1234, 4321)
    assert mode(directory / "next.pem") == expected
    assert mode(directory / "next.pub.pem") == 0o644


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_the_first_key_made_by_root_belongs_to_the_owner_of_the_directory(directory):
    directory.mkdir(parents=True)
    os.chown(directory, 1234, 4321)
    keys.generate(directory, "EdDSA")
    assert {path.stat().st_uid for path in directory.iterdir()} == {1234}


# --- what others wrote ------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["rsa", "ecdsa", "ed25519"])
def test_keys_that_ssh_keygen_made(tmp_path, kind):
    path = tmp_path / "jwt.key"
    subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", "", "-f", path], check=True)
    assert b"OPENSSH PRIVATE KEY" in path.read_bytes()
    key = keys.read_private(path)
    assert keys.read_public(tmp_path / "jwt.key.pub").kid == key.kid
    subprocess.run(["ssh-keygen", "-q", "-p", "-N", "a passphrase", "-f", path], check=True)
    with pytest.raises(UnusableKey, match="encrypted"):
        keys.read_private(path)


def test_a_file_with_several_public_keys(tmp_path):
    pair = [keys.SigningKey.of(ed25519.Ed25519PrivateKey.generate()).public for _ in range(3)]
    openssh = pair[1].key.public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    path = tmp_path / "public.pem"
    path.write_text(f"{pair[0].pem}\n# the next one\n{openssh.decode()} admin@host\n{pair[2].pem}")
    assert [key.kid for key in keys.read_publics(path)] == [key.kid for key in pair]
    with pytest.raises(UnusableKey, match="3 public keys"):
        keys.read_public(path)
    path.write_text(pair[0].pem + pair[1].pem[:-10])
    with pytest.raises(UnusableKey, match="not a public key"):
        keys.read_publics(path)
    path.write_text(pair[0].pem * 17)
    with pytest.raises(UnusableKey, match="more than 16"):
        keys.read_publics(path)


def test_neither_repr_nor_str_show_a_private_key(directory):
    key = keys.generate(directory, "EdDSA")
    assert "key=" not in repr(key).replace("public=", "")
    assert key.kid in repr(key)


# --- names and sets of keys --------------------------------------------------------------------------------


def test_thumbprint_of_rfc_7638():
    modulus = (
        "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3"
        "oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdA"
        "ZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-"
        "kEgU8awapJzKnqDKgw"
    )
    key = public_key_of({"kty": "RSA", "n": modulus, "e": "AQAB"})
    assert keys.thumbprint(key) == "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"


def test_thumbprint_of_rfc_8037():
    key = public_key_of({"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"})
    assert keys.thumbprint(key) == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"


@pytest.mark.parametrize("algorithm", keys.ALGORITHMS)
def test_a_jwk_gives_the_same_key_back_and_nothing_private(directory, algorithm):
    key = keys.generate(directory, algorithm)
    (jwk,) = keys.jwks([key.public])["keys"]
    assert public_key_of(jwk) == key.public.key
    assert (jwk["kid"], jwk["alg"], jwk["use"]) == (key.kid, algorithm, "sig")
    assert keys.thumbprint(public_key_of(jwk)) == key.kid
    assert not {"d", "p", "q", "dp", "dq", "qi", "k"} & set(jwk)
    assert json.loads(json.dumps(keys.jwks([]))) == {"keys": []}


def test_coordinates_keep_their_leading_zeros():
    # A point whose x begins with a zero byte is found in a few hundred tries.
    key = next(
        key
        for key in (ec.generate_private_key(ec.SECP256R1()).public_key() for _ in range(20_000))
        if key.public_numbers().x < 1 << 248
    )
    jwk = keys.VerificationKey.of(key).as_jwk()
    assert (len(jwk["x"]), len(jwk["y"])) == (43, 43)
    assert public_key_of(jwk) == key
