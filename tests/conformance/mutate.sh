#!/bin/bash
# Makes each mutation of mutations.md in a copy of the tree, one after the other, and says whether the case that is named
# there fails. Takes about half a minute for each, so no CI runs it.
#
#   tests/conformance/mutate.sh          all of them
#   tests/conformance/mutate.sh list.rs  those of a file
#
# What it needs goes to $MUTANTS, else to a new folder; keep it, and the next run builds less.

set -euo pipefail
cd "$(dirname "$0")/../.."
here=$PWD
mutants=${MUTANTS:-$(mktemp -d)}
mkdir -p "$mutants/tree"
git ls-files -z | tar --null --files-from=- --create | tar --extract --touch --directory "$mutants/tree"
cd "$mutants/tree"

# Fast to build; the cases are the same.
export CARGO_TARGET_DIR=$mutants/target CARGO_INCREMENTAL=1
export CARGO_PROFILE_RELEASE_OPT_LEVEL=1 CARGO_PROFILE_RELEASE_DEBUG=0

# Each as a line: the file, the line as it is, the mutated line, the case.
mutations() {
    awk '
        /^## /       { file = $2 }
        /^-/         { old = substr($0, 2) }
        /^\+/        { new = substr($0, 2) }
        /^Fails `/   { sub(/^Fails `/, ""); sub(/`[^`]*$/, ""); print file "\t" old "\t" new "\t" $0 }
    ' "$here/tests/conformance/mutations.md" | grep -F "${1:-}"
}

# The line must be there, once.
mutate() {
    OLD=$2 NEW=$3 awk '$0 == ENVIRON["OLD"] { $0 = ENVIRON["NEW"]; found++ } { print } END { exit found != 1 }' "$here/$1" > "$1"
}

run() { timeout 300 cargo test --release --test conformance > "$mutants/output" 2>&1 || true; }

status=0
while IFS=$'\t' read -r file old new case; do
    if ! mutate "$file" "$old" "$new"; then
        verdict="IS NOT THERE ONCE" status=1
    elif run; grep -qF "FAILED $case" "$mutants/output"; then
        verdict="fails $case, and $(($(grep -c ^FAILED "$mutants/output") - 1)) others"
    else
        verdict="SURVIVES: $case does not fail" status=1
    fi
    printf '%s\n  %s\n  %s\n    %s\n' "$file" "${old#"${old%%[! ]*}"}" "${new#"${new%%[! ]*}"}" "$verdict"
    cp "$here/$file" "$file"
done < <(mutations "${1:-}")
exit $status
