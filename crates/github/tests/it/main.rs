//! Input of strangers, mutated from the seeds in `tests/corpus`.
//!
//! A few seconds each; `GHOARD_FUZZ_SECS=600 GHOARD_FUZZ_SEED=1 cargo test -p github --test it -- --nocapture`
//! runs longer, with other bytes.

mod fuzz;
mod graphql;
mod link;
mod mutate;
mod target;
