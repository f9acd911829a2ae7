//! The `conche` binary.

fn main() {}
