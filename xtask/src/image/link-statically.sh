#!/bin/sh
# For RUSTC_WORKSPACE_WRAPPER: links the program `conche` statically. All else is compiled as ever,
# so that its dependencies are those that tests and demo have already.
rustc=$1
shift
case " $* " in
*" --crate-name conche "*" --crate-type bin "*) set -- "$@" -C target-feature=+crt-static -C strip=debuginfo ;;
esac
exec "$rustc" "$@"
