# Sourced by every script here, and by each recipe of the Makefile through BASH_ENV: cron, CI and `env -i` start with
# next to nothing in the environment, and no step may depend on what a login shell would have set.

export PATH="${PATH:-/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin}"
export HOME="${HOME:-$(getent passwd "$(id -u)" | cut -d: -f6)}"
export LANG="${LANG:-C.UTF-8}"
export PYTHONUNBUFFERED=1
unset PYTHONDONTWRITEBYTECODE # else every process would compile all of CKAN again, half a second each time

# pip, uv, node and Python's HTTP clients each bring their own list of certificate authorities. Networks with an
# authority of their own have it in the system's list, so that one is used wherever nothing else was chosen.
export UV_SYSTEM_CERTS="${UV_SYSTEM_CERTS:-1}" UV_NATIVE_TLS="${UV_NATIVE_TLS:-1}" # the second: older uv
system_authorities=/etc/ssl/certs/ca-certificates.crt
if [ -r "$system_authorities" ]; then
    export SSL_CERT_FILE="${SSL_CERT_FILE:-$system_authorities}"
    export REQUESTS_CA_BUNDLE="${REQUESTS_CA_BUNDLE:-$system_authorities}"
    export PIP_CERT="${PIP_CERT:-$system_authorities}"
    export NODE_EXTRA_CA_CERTS="${NODE_EXTRA_CA_CERTS:-$system_authorities}"
fi
unset system_authorities

# Everything here talks to this machine, and a proxy would only stand in between.
case ",${no_proxy:-}," in
*,127.0.0.1,*) ;;
*) export no_proxy="${no_proxy:+$no_proxy,}127.0.0.1,localhost" ;;
esac
export NO_PROXY="$no_proxy"

# pyright: run the node that was installed with it, and do not ask the network for a newer pyright.
export PYRIGHT_PYTHON_GLOBAL_NODE=off PYRIGHT_PYTHON_IGNORE_WARNINGS=1

# CKAN lets these override its ini file. Left in, they would turn the tests and the demo loose on another site. Services
# that `make demo` is given on purpose come by three of them, which only demo/given.py reads, under other names.
for name in SQLALCHEMY_URL REDIS_URL SOLR_URL; do
    given="CKAN_$name"
    if [ -n "${!given:-}" ]; then export "GIVEN_$name=${!given}"; fi
done
for name in $(compgen -e CKAN_ || true); do unset "$name"; done
unset name given
