//! Tables: what a kernel knows. Nouns, tested alone; the doors in `net` read and change them.

pub mod inet_types;
pub mod neigh_types;
pub mod route_types;
