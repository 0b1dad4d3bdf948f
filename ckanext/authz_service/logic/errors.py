"""The one place where this plugin's errors become CKAN's."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import ckantoolkit as tk
from flask import has_request_context

from ckanext.authz_service.errors import KeysError, RateLimited, ScopeError, TokenTooLarge

log = logging.getLogger(__name__)


class TooManyRequests(tk.NotAuthorized):
    """The caller has asked for too many tokens, and may ask again in ``retry_after`` seconds.

    Callers inside CKAN that do not know it take it for a refusal. The API answers 429 (views.py).
    """

    def __init__(self, message: str, retry_after: int):
        super().__init__(message)
        self.retry_after = retry_after


P = ParamSpec("P")
T = TypeVar("T")


def as_ckan_errors(function: Callable[P, T]) -> Callable[P, T]:
    """Let an action answer 409 for what the caller can correct, 404 for a key that is not there, and 429 for
    what comes too often.

    BindingError and UnfaithfulScope are bugs: they stay as they are, a 500 with a traceback in the log.
    """

    @functools.wraps(function)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return function(*args, **kwargs)
        except (ScopeError, TokenTooLarge) as error:
            raise tk.ValidationError({"scopes": [str(error)]}) from error
        except RateLimited as error:
            refusal = TooManyRequests(str(error), error.retry_after)
            if has_request_context():
                tk.g.authz_too_many_requests = refusal
            raise refusal from error
        except KeysError as error:
            # Paths and modes of files are for the administrator; callers only learn whom to tell.
            log.error("%s", error)
            raise tk.ObjectNotFound(
                "This site has no usable key for signing tokens. Its administrator finds the reason in the "
                "log; ckan authz keygen creates a key."
            ) from error

    return wrapper
