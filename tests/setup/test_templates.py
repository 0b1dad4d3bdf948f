"""Pages of ours work under a Content-Security-Policy without 'unsafe-inline'."""

from __future__ import annotations

import re

from services.checkout import ROOT

INLINE = re.compile(r"""\sstyle=|\son[a-z]+=|<script(?![^>]*\ssrc=)|<style|javascript:""")


def test_no_template_has_inline_scripts_or_styles():
    found = {
        template.relative_to(ROOT).as_posix(): INLINE.findall(template.read_text(encoding="utf-8"))
        for template in (ROOT / "templates").rglob("*.html")
    }
    assert len(found) > 20
    assert {name: inline for name, inline in found.items() if inline} == {}
