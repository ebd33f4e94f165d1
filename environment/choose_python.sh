#!/bin/sh
# Chooses the Python of the environment, and with it the generation of TFX: `choose_python.sh [PYTHON]`, where PYTHON is
# a version or an interpreter; without it the newest that this machine can install. Prints three lines: the interpreter
# (the bare version where uv has to find one), the locked requirements, and what was chosen and why.
set -eu
# What the wheels of TFX 1.21 need; see docs/stacks.md.
newer_glibc=2.39
newer_pythons="3.13 3.12"
older_python=3.10
wanted=${1:-}
folder=$(dirname "$0")
glibc=$(getconf GNU_LIBC_VERSION 2>/dev/null || true)
glibc=${glibc#glibc }

fail() {
    echo "error: $1" >&2
    exit 1
}

newer_fits() {
    [ -n "$glibc" ] && printf '%s\n' "$newer_glibc" "$glibc" | sort -V -C
}

# Prints version and path of an interpreter: not that of a shim or of a virtual environment, but the one behind it.
look_at() {
    "$1" -c 'import sys; print("%d.%d %s" % (*sys.version_info[:2], sys._base_executable))' 2>/dev/null
}

# Prints the path of an interpreter of a version. A shim of pyenv may be there without the version behind it.
find_python() {
    for candidate in "python$1" python3 "/usr/bin/python$1" \
        $(ls -d "${PYENV_ROOT:-$HOME/.pyenv}/versions/$1".*/bin/"python$1" 2>/dev/null | sort -rV); do
        seen=$(look_at "$candidate") && [ "${seen%% *}" = "$1" ] && echo "${seen#* }" && return
    done
    return 1
}

# Prints the answer: an interpreter, its version, the reason.
choose() {
    case $2 in
    "$older_python") tfx=1.16 ;;
    3.12 | 3.13) tfx=1.21 ;;
    *) fail "PYTHON=$wanted is Python $2: TFX runs on 3.10, 3.12 and 3.13, so give one of these or its path" ;;
    esac
    [ "$tfx" = 1.16 ] || newer_fits ||
        fail "PYTHON=$wanted means TFX 1.21, which needs glibc $newer_glibc (Debian 13, Ubuntu 24.04), and this machine has ${glibc:-none}: use PYTHON=$older_python"
    echo "$1"
    echo "$folder/requirements-tfx-$tfx.txt"
    echo "Python $2 ($1) with TFX $tfx: $3"
    exit
}

case $wanted in
"") ;;
[0-9]*) choose "$(find_python "$wanted" || echo "$wanted")" "$wanted" "PYTHON=$wanted asks for it" ;;
*)
    seen=$(look_at "$wanted") || fail "PYTHON=$wanted is no Python 3 that starts: give a version (3.13) or a path"
    choose "${seen#* }" "${seen%% *}" "PYTHON=$wanted asks for it"
    ;;
esac

if newer_fits; then
    for version in $newer_pythons; do
        if path=$(find_python "$version"); then
            choose "$path" "$version" "the newest that this machine can install (glibc $glibc)"
        fi
    done
    if path=$(find_python "$older_python"); then
        choose "$path" "$older_python" "no Python 3.12 or 3.13 found, which TFX 1.21 needs"
    fi
    choose "${newer_pythons%% *}" "${newer_pythons%% *}" "no Python found that TFX runs on, so uv looks for one"
fi
choose "$(find_python "$older_python" || echo "$older_python")" "$older_python" \
    "TFX 1.21 needs glibc $newer_glibc, and this machine has ${glibc:-none}"
