"""Where a site's keys may be, and what follows when they are in several places."""

from __future__ import annotations

import itertools
import subprocess

import pytest
from cryptography.hazmat.primitives import serialization

from ckanext.authz_service import keys, rotation
from ckanext.authz_service.errors import MissingKey, UnsuitableAlgorithm, UnusableKey
from ckanext.authz_service.keyring import Keyring


@pytest.fixture
def make(tmp_path):
    """Make a key: (its private file, its public file, the key)."""

    def make(name, algorithm="EdDSA"):
        key = keys.generate(tmp_path / name, algorithm)
        return keys.private_path(tmp_path / name), keys.public_path(tmp_path / name), key

    return make


def test_no_key_at_all():
    assert Keyring().verification_keys() == {}
    for ask in (Keyring().signing_key, Keyring().public_key):
        with pytest.raises(MissingKey, match="keys_dir"):
            ask()


def test_the_text_wins_over_the_file_and_the_file_over_the_directory(make):
    (text_file, _, text), (file, _, in_file), (_, _, in_directory) = (
        make("text"),
        make("file"),
        make("directory"),
    )
    directory = file.parent.parent / "directory"
    ring = Keyring(private_key=text_file.read_text(), private_key_file=file, keys_dir=directory)
    assert ring.signing_key().kid == ring.public_key().kid == text.kid
    assert ring.read_only
    ring = Keyring(private_key_file=file, keys_dir=directory)
    assert ring.signing_key().kid == ring.public_key().kid == in_file.kid
    # What does not sign is accepted none the less: so a site moves from one place to the other.
    assert list(ring.verification_keys()) == [in_file.kid, in_directory.kid]
    ring = Keyring(keys_dir=directory, public_key_file=keys.public_path(file.parent))
    assert ring.signing_key().kid == in_directory.kid
    assert list(ring.verification_keys()) == [in_directory.kid, in_file.kid]
    assert not ring.read_only


def test_newlines_may_be_written_out(make):
    file, _, key = make("a", "RS256")
    assert Keyring(private_key=file.read_text().replace("\n", "\\n")).signing_key().kid == key.kid
    ring = Keyring(private_key=file.read_text())
    assert ring.signing_key() is not None
    assert "PRIVATE" not in repr(ring)


def test_a_given_key_is_read_once_and_again_when_it_changed(make):
    (file, _, first), (other, _, second) = make("a", "RS256"), make("b", "RS256")
    ring, text = Keyring(private_key_file=file), file.read_text()
    assert ring.signing_key() is ring.signing_key()
    assert Keyring(private_key=text).signing_key() is Keyring(private_key=text).signing_key()
    other.replace(file)
    assert ring.signing_key().kid == second.kid
    assert Keyring(private_key=text).signing_key().kid == first.kid
    public = file.parent / "public.pem"
    public.write_text(first.public.pem)
    assert list(Keyring(public_key_file=public).verification_keys()) == [first.kid]
    public.write_text(second.public.pem + first.public.pem)
    assert list(Keyring(public_key_file=public).verification_keys()) == [second.kid, first.kid]


@pytest.mark.parametrize("openssh", [False, True])
def test_a_server_that_only_checks(make, tmp_path, openssh):
    _, file, key = make("a", "RS256")
    if openssh:
        file = tmp_path / "id.pub"
        file.write_bytes(
            key.public.key.public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
        )
    ring = Keyring(public_key_file=file)
    assert list(ring.verification_keys()) == [ring.public_key().kid] == [key.kid]
    with pytest.raises(MissingKey):
        ring.signing_key()


# --- what contradicts itself ------------------------------------------------------------------------------


def test_a_public_file_of_another_key_is_reported(make):
    (file, _, _), (_, public, _) = make("a"), make("b")
    ring = Keyring(private_key_file=file, public_key_file=public)
    for ask in (ring.signing_key, ring.public_key, ring.verification_keys):
        with pytest.raises(UnusableKey, match=r"public half is not in.*jwt_public_key_file") as raised:
            ask()
        assert str(public) in str(raised.value)


def test_a_key_for_another_algorithm_is_reported(make):
    file, _, _ = make("a", "EdDSA")
    with pytest.raises(UnusableKey, match=r"it is for EdDSA, and .*jwt_algorithm says RS256"):
        Keyring(private_key_file=file, algorithm="RS256").signing_key()
    with pytest.raises(UnusableKey, match=r"in the option ckanext\.authz_service\.jwt_private_key.*EdDSA"):
        Keyring(private_key=file.read_text(), algorithm="ES256").signing_key()


def test_in_a_directory_the_kind_of_the_key_wins(make):
    file, _, key = make("a", "EdDSA")
    assert Keyring(keys_dir=file.parent, algorithm="RS256").signing_key().algorithm == key.algorithm


@pytest.mark.parametrize("algorithm", ["HS256", "none", "RSA-OAEP", "rs256"])
def test_unsuitable_algorithms_are_refused_everywhere(make, algorithm):
    file, _, _ = make("a")
    ring = Keyring(keys_dir=file.parent, algorithm=algorithm)
    for ask in (ring.signing_key, ring.public_key, ring.verification_keys):
        with pytest.raises(UnsuitableAlgorithm, match="jwt_algorithm"):
            ask()


@pytest.mark.parametrize("algorithm", ["RS256", "RS384", "RS512"])
def test_rsa_keys_have_the_algorithm_of_the_site(make, algorithm):
    file, _, key = make("a", "RS256")
    for ring in (
        Keyring(private_key_file=file, algorithm=algorithm),
        Keyring(keys_dir=file.parent, algorithm=algorithm),
    ):
        assert ring.signing_key().algorithm == algorithm
        assert [key.algorithm for key in ring.verification_keys().values()] == [algorithm]
        assert ring.public_key().kid == key.kid


@pytest.mark.parametrize(
    "text", ["", "secret", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----"]
)
def test_no_secret_is_made_up_and_none_is_quoted(text):
    ring = Keyring(private_key=text)
    with pytest.raises((MissingKey, UnusableKey)) as raised:
        ring.signing_key()
    assert not text or text not in str(raised.value)


def test_a_file_that_is_not_there_names_its_option(tmp_path, make):
    file, _, _ = make("a")
    for ring, option in (
        (Keyring(private_key_file=tmp_path / "x"), "jwt_private_key_file"),
        (Keyring(private_key_file=file, public_key_file=tmp_path / "x"), "jwt_public_key_file"),
        (Keyring(public_key_file=tmp_path / "x"), "jwt_public_key_file"),
    ):
        with pytest.raises(UnusableKey, match=f"no such file.*{option}"):
            ring.verification_keys()


# --- rotation of keys that are given read-only, in containers that do not change at the same moment --------


def test_containers_between_two_steps_trust_each_other(make, tmp_path):
    (old_file, _, old), (new_file, _, new) = make("old"), make("new", "ES256")

    def public(name, *those):
        path = tmp_path / name
        path.write_text("".join(key.public.pem for key in those))
        return path

    steps = [
        Keyring(private_key_file=old_file, public_key_file=public("1", old)),
        Keyring(private_key_file=old_file, public_key_file=public("2", old, new)),
        Keyring(private_key_file=new_file, public_key_file=public("3", old, new)),
        Keyring(private_key_file=new_file, public_key_file=public("4", new)),
    ]
    for step, following in itertools.pairwise(steps):
        # Before the last step one waits until the tokens of the old key have expired.
        assert step.signing_key().kid in following.verification_keys() or following is steps[-1]
        assert following.signing_key().kid in step.verification_keys()


def test_moving_to_a_directory_of_keys(make, tmp_path):
    file, public, old = make("old")
    directory = tmp_path / "keys"
    new = keys.generate(directory, "ES256")
    steps = [
        Keyring(private_key_file=file, public_key_file=public),
        Keyring(private_key_file=file, public_key_file=public, keys_dir=directory),
        Keyring(public_key_file=public, keys_dir=directory),
        Keyring(keys_dir=directory),
    ]
    assert [ring.signing_key().kid for ring in steps] == [old.kid, old.kid, new.kid, new.kid]
    assert [len(ring.verification_keys()) for ring in steps] == [1, 2, 2, 1]
    rotation.advance(directory, max_lifetime=900)
    assert len(steps[2].verification_keys()) == 3


def test_keys_that_openssl_made(tmp_path):
    private, public = tmp_path / "new.pem", tmp_path / "new.pub.pem"
    for kind in ("EC -pkeyopt ec_paramgen_curve:P-256", "ED25519", "RSA -pkeyopt rsa_keygen_bits:3072"):
        command = ["openssl", "genpkey", "-algorithm", *kind.split(), "-out", private]
        subprocess.run(command, check=True, capture_output=True)
        subprocess.run(["openssl", "pkey", "-in", private, "-pubout", "-out", public], check=True)
        assert Keyring(private_key_file=private, public_key_file=public).signing_key()
