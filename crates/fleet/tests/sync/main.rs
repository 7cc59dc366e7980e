//! Anti-entropy between whole cores: what it costs, that it ends, and what it refuses.

mod costs;
mod stories;
mod world;
