//! Wire formats: parse and write in place; no state.
