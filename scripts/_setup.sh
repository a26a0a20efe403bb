# shellcheck shell=bash
# Sourced by the scripts beside it. `setup_runtime` or `setup_dev` makes .venv as the locks say;
# "$root" is the repository, "$python" the interpreter in .venv.

root="$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd -P)"
venv="$root/.venv"
python="$venv/bin/python"
unset PYTHONHOME PYTHONPATH

# TensorFlow decides which Pythons will do.
_suits() {
    "$1" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' \
        >/dev/null 2>&1
}

_find_python() {
    local candidate
    for candidate in python3 python3.13 python3.12 python3.11 python; do
        if _suits "$candidate"; then
            command -v "$candidate"
            return
        fi
    done
    echo "birdcli: set-up needs Python 3.11, 3.12 or 3.13 on PATH; found: $(
        python3 --version 2>&1 || true
    )" >&2
    return 1
}

# One digest over whatever the environment depends on, its own path included: a copied .venv still
# points to where it came from.
_fingerprint() {
    "$python" -I -S - "$root" "$1" <<'EOF'
import hashlib, pathlib, sys

root, mode = pathlib.Path(sys.argv[1]), sys.argv[2]
digest = hashlib.sha256(f"{mode}\n{root}\n{sys.version}\n".encode())
locks = {"runtime": ("requirements.lock", "requirements-build.lock")}
for name in (*locks.get(mode, ("requirements-dev.lock",)), "pyproject.toml", "scripts/_setup.sh"):
    digest.update(hashlib.sha256((root / name).read_bytes()).digest())
print(digest.hexdigest())
EOF
}

# What is set up for development has everything that a run needs.
_is_set_up() {
    local mode
    _suits "$python" || return 1
    for mode in "$1" dev; do
        if [[ -f "$venv/.set-up-$mode" &&
            "$(cat "$venv/.set-up-$mode")" == "$(_fingerprint "$mode")" ]]; then
            return 0
        fi
    done
    return 1
}

_pip() {
    local quiet=--quiet
    if [[ -t 2 ]]; then quiet=--progress-bar=on; fi
    PIP_USER=0 PIP_NO_INPUT=1 PIP_DISABLE_PIP_VERSION_CHECK=1 \
        "$python" -m pip install "$quiet" "$@" >&2
}

_install() {
    local base locks
    if ! _suits "$python" || ! "$python" -m pip --version >/dev/null 2>&1; then
        base="$(_find_python)" || return 1
        echo "birdcli: making .venv with $("$base" --version)" >&2
        "$base" -m venv --clear "$venv" >&2 || return 1
    fi
    rm -f "$venv"/.set-up-*
    echo "birdcli: installing the locked packages into .venv (the first time about 700 MB)" >&2
    if [[ "$1" == dev ]]; then
        locks=(-r "$root/requirements-dev.lock")
    else
        locks=(-r "$root/requirements.lock" -r "$root/requirements-build.lock")
    fi
    # Wheels only: nothing that is downloaded runs before its digest was compared. The locks name
    # every package, and pip 23 takes the newest release of an extra that a lock pins without it.
    _pip --require-hashes --no-deps --only-binary :all: "${locks[@]}" || return 1
    _pip --no-deps --no-build-isolation --no-index --editable "$root" || return 1
    _fingerprint "$1" >"$venv/.set-up-$1"
}

_set_up() {
    if _is_set_up "$1"; then return; fi
    local base
    base="$(_find_python)" || exit 1
    # The shell keeps what Python locked, until it closes the file or ends, however it ends.
    exec 9>"$root/.set-up.lock"
    "$base" -c 'import fcntl; fcntl.flock(9, fcntl.LOCK_EX)'
    if ! _is_set_up "$1" && ! _install "$1"; then
        echo "birdcli: set-up failed" >&2
        exit 1
    fi
    exec 9>&-
}

setup_runtime() { _set_up runtime; }

setup_dev() { _set_up dev; }
