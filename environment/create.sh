#!/bin/sh
# Creates the environment in .venv: `create.sh UV [PYTHON]`, PYTHON as for choose_python.sh.
set -eu
uv=$1
chosen=$(sh environment/choose_python.sh "${2:-}")
{
    read -r python
    read -r requirements
    read -r reason
} <<END
$chosen
END
echo "$reason"
echo "Creating the environment (about 300 packages, 4 GB)"
"$uv" venv --quiet --clear --no-python-downloads --python "$python" .venv 2>/dev/null ||
    "$uv" venv --quiet --clear --python "$python" .venv 2>/dev/null || {
    echo "error: no Python $python found: install it (pyenv install $python) or set PYTHON=/path/to/python$python" >&2
    exit 1
}
"$uv" pip sync --quiet --compile-bytecode --python .venv/bin/python --require-hashes "$requirements"
"$uv" pip install --quiet --python .venv/bin/python --no-deps --no-build-isolation --editable .
echo "$python" >.venv/chosen
