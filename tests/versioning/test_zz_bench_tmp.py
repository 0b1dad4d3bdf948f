"""package_patch with recording on vs off, interleaved in one process."""
import sys, time, statistics, os
import pytest
from ckan.tests import factories, helpers
from ckan import model, plugins
from ckanext.versioning import recording
import ckanext.versioning.recording as rec

@pytest.mark.usefixtures("with_plugins")
@pytest.mark.parametrize("n", [1, 20, 100])
def test_bench(n, monkeypatch, capsys):
    user = factories.Sysadmin()
    org = factories.Organization()
    ds = factories.Dataset(owner_org=org["id"], resources=[{"url": f"http://x/{i}", "name": f"r{i}", "format":"CSV", "description": "d"*50} for i in range(n)])
    on, off, delta = [], [], []
    real = plugins.plugin_loaded
    def once(i, enabled):
        rec.plugins = type("P", (), {"plugin_loaded": staticmethod((lambda name: True) if enabled else (lambda name: False))})
        t = time.perf_counter()
        helpers.call_action("package_patch", {"user": user["name"]}, id=ds["id"], title=f"t{i}")
        d = time.perf_counter() - t
        model.Session.remove()
        return d
    N = 120 if n < 100 else 80
    import random
    for i in range(N):
        pair = [True, False]; random.shuffle(pair)
        r = {e: once(i*2+k, e) for k, e in enumerate(pair)}
        if i >= 10:
            on.append(r[True]); off.append(r[False]); delta.append(r[True]-r[False])
    rec.plugins = plugins
    m = statistics.median
    with capsys.disabled():
        print(f"\nn={n} off {m(off)*1e3:.1f} ms on {m(on)*1e3:.1f} ms  +{(m(on)/m(off)-1)*100:.1f}% median delta {m(delta)*1e3:.2f} ms")
