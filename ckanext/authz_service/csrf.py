"""Does a request that changes something come from a page of this site's own?"""

from __future__ import annotations

import ckantoolkit as tk
from flask import current_app
from flask_wtf.csrf import validate_csrf
from wtforms import ValidationError


def sent_by_our_page() -> bool:
    """Whether the form that was sent has the token that CKAN's templates put into a page's forms.

    CKAN's own check leaves out plugins' pages on 2.11, and on 2.12 every page that somebody without a session
    has opened before.
    """
    try:
        validate_csrf(tk.request.form.get(current_app.config["WTF_CSRF_FIELD_NAME"]))
    except ValidationError:
        return False
    return True
