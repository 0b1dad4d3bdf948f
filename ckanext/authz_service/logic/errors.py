"""The one place where this plugin's errors become CKAN's."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import ckantoolkit as tk

from ckanext.authz_service.errors import KeysError, LedgerError, RateLimited, ScopeError, TokenTooLarge
from ckanext.authz_service.too_many_requests import TooManyRequests

log = logging.getLogger(__name__)


P = ParamSpec("P")
T = TypeVar("T")


def as_ckan_errors(function: Callable[P, T]) -> Callable[P, T]:
    """Let an action answer 409 for what the caller can correct, 404 for a key or a ledger that is not there,
    and 429 for what comes too often.

    BindingError and UnfaithfulScope are bugs: they stay as they are, a 500 with a traceback in the log.
    """

    @functools.wraps(function)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return function(*args, **kwargs)
        except (ScopeError, TokenTooLarge) as error:
            raise tk.ValidationError({"scopes": [str(error)]}) from error
        except RateLimited as error:
            raise TooManyRequests(str(error), error.retry_after) from error
        except KeysError as error:
            # Paths and modes of files are for the administrator; callers only learn whom to tell.
            log.error("%s", error)
            raise tk.ObjectNotFound(
                "This site has no usable key for signing tokens. Its administrator finds the reason in the "
                "log or with ckan authz check; ckan authz keygen creates a key."
            ) from error
        except LedgerError as error:
            log.error("%s", error, exc_info=error.__cause__)
            raise tk.ObjectNotFound(str(error)) from error

    return wrapper
