"""Which of a site's keys signs, and which are accepted. Pure.

One key signs; every other key that the site is given is published and accepted beside it. So a key can be
published before it signs and after it has signed, wherever it is kept.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from pathlib import Path

from ckanext.authz_service import keys
from ckanext.authz_service.errors import MissingKey, UnusableKey
from ckanext.authz_service.keys import SigningKey, VerificationKey

OPTION = "ckanext.authz_service.jwt_private_key"


@dataclass(frozen=True)
class Keyring:
    """Where the keys are. What signs: ``private_key``, else ``private_key_file``, else that of ``keys_dir``.

    private_key: in PEM; newlines may be written as ``\\n``.
    public_key_file: public keys, at least one, that are accepted, too.
    keys_dir: see keys.py. Its keys are accepted even if another one signs.
    algorithm: for RSA keys; a private key that is given by itself must be of this algorithm. None: RS256 for
        RSA keys.
    """

    private_key: str | None = field(default=None, repr=False)
    private_key_file: Path | None = None
    public_key_file: Path | None = None
    keys_dir: Path | None = None
    algorithm: str | None = None

    @property
    def read_only(self) -> bool:
        """Whether the key that signs is given by itself, so that a rotation is up to the administrator."""
        return bool(self.private_key or self.private_key_file)

    def signing_key(self) -> SigningKey:
        """The key that signs. Raises MissingKey, UnusableKey, UnsuitableAlgorithm."""
        algorithm = keys.suitable(self.algorithm) if self.algorithm else None
        where, key = self._given_key()
        if key is None:
            if self.keys_dir is None:
                raise MissingKey(None)
            return keys.load(self.keys_dir).using(algorithm)
        key = key.using(algorithm)
        if algorithm not in (None, key.algorithm):
            raise UnusableKey(
                where,
                f"it is for {key.algorithm}, and the option ckanext.authz_service.jwt_algorithm says "
                f"{algorithm}. Change the option, or give a key of that kind.",
            )
        public = self._public_keys()
        if public and key.kid not in {each.kid for each in public}:
            raise UnusableKey(
                where,
                f"its public half is not in {self.public_key_file}, so servers that use that file would "
                "refuse its tokens. Put it there, or unset ckanext.authz_service.jwt_public_key_file.",
            )
        return key

    def public_key(self) -> VerificationKey:
        """The public half of the key that signs; without one, the first key that is accepted.

        Raises MissingKey, UnusableKey, UnsuitableAlgorithm.
        """
        for key in self.verification_keys().values():
            return key
        raise MissingKey(self.keys_dir and keys.private_path(self.keys_dir))

    def verification_keys(self) -> dict[str, VerificationKey]:
        """The keys whose tokens are accepted, by ``kid``, that which signs first. None is an answer, too.

        Raises UnusableKey, UnsuitableAlgorithm.
        """
        algorithm = keys.suitable(self.algorithm) if self.algorithm else None
        found = [self.signing_key().public] if self.read_only else []
        if self.keys_dir:
            found += keys.verification_keys(self.keys_dir).values()
        found += self._public_keys()
        return {key.kid: key.using(algorithm) for key in found}

    def _given_key(self) -> tuple[Path | str, SigningKey | None]:
        if self.private_key:
            return OPTION, _parsed(self.private_key)
        if self.private_key_file:
            try:
                return self.private_key_file, keys.read_private(self.private_key_file)
            except MissingKey as error:
                raise _no_file(self.private_key_file, "jwt_private_key_file") from error
        return "", None

    def _public_keys(self) -> tuple[VerificationKey, ...]:
        if self.public_key_file is None:
            return ()
        try:
            return keys.read_publics(self.public_key_file)
        except MissingKey as error:
            raise _no_file(self.public_key_file, "jwt_public_key_file") from error


# Not by path, as files are: another text is another key. Reading an RSA key costs more than using it.
@functools.lru_cache(maxsize=4)
def _parsed(text: str) -> SigningKey:
    return keys.parse_private(OPTION, text.replace("\\n", "\n").encode())


def _no_file(path: Path, option: str) -> UnusableKey:
    return UnusableKey(
        path, f"there is no such file. Put the key there or correct ckanext.authz_service.{option}."
    )
